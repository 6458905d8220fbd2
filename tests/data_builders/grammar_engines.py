"""Run by an environment that has the engines of constrained decoding, and nothing of this project.

Reads `{name: {"schema": ..., "texts": [...]}}` from stdin, and writes `{engine: {name: [whether each text is a whole reply]}}`.
A vocabulary of the 256 bytes stands for a model's: whatever a grammar lets through is let through byte by byte.
"""

import json
import sys
from typing import Any

END = 256


def xgrammar(schema: dict[str, Any], texts: list[str]) -> list[bool]:
    import xgrammar

    vocabulary = xgrammar.TokenizerInfo([bytes([b]) for b in range(END)] + [b"</s>"], stop_token_ids=[END])
    compiled = xgrammar.GrammarCompiler(vocabulary).compile_json_schema(json.dumps(schema))

    def accepts(text: str) -> bool:
        matcher = xgrammar.GrammarMatcher(compiled)
        return all(matcher.accept_token(byte) for byte in text.encode()) and matcher.accept_token(END)

    return [accepts(text) for text in texts]


def llguidance(schema: dict[str, Any], texts: list[str]) -> list[bool]:
    from llguidance import LLMatcher, LLTokenizer

    vocabulary, grammar = LLTokenizer("byte"), LLMatcher.grammar_from_json_schema(json.dumps(schema))

    def accepts(text: str) -> bool:
        matcher = LLMatcher(vocabulary, grammar)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        tokens = vocabulary.tokenize_bytes(text.encode())
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    return [accepts(text) for text in texts]


def outlines_core(schema: dict[str, Any], texts: list[str]) -> list[bool]:
    from outlines_core import Guide, Index, Vocabulary
    from outlines_core.json_schema import build_regex_from_schema

    vocabulary = Vocabulary(END, {bytes([byte]): [byte] for byte in range(END)})
    index = Index(build_regex_from_schema(json.dumps(schema)), vocabulary)

    def accepts(text: str) -> bool:
        guide = Guide(index)
        for byte in text.encode():
            if byte not in guide.get_tokens():
                return False
            guide.advance(byte)
        return END in guide.get_tokens()

    return [accepts(text) for text in texts]


def main() -> None:
    """All engines on all schemas."""
    asked = json.load(sys.stdin)
    engines = {"xgrammar": xgrammar, "llguidance": llguidance, "outlines-core": outlines_core}
    told = {
        name: {schema: engine(each["schema"], each["texts"]) for schema, each in asked.items()}
        for name, engine in engines.items()
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
