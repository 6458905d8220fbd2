"""Which fields of a request may go to an upstream (ours, from OpenAI's, vLLM's and SGLang's own lists)."""

from typing import Final

OPENAI: Final = frozenset(
    (
        *("messages", "model", "audio", "frequency_penalty", "function_call", "functions", "logit_bias"),
        *("logprobs", "max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls"),
        *("prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort"),
        *("response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream"),
        *("stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
        "web_search_options",
    )
)
ENGINES: Final = frozenset(
    (
        *("add_generation_prompt", "allowed_token_ids", "bad_words", "chat_template_kwargs"),
        *("continue_final_message", "ebnf", "guided_choice", "guided_grammar", "guided_json", "guided_regex"),
        *("ignore_eos", "include_reasoning", "include_stop_str_in_output", "length_penalty", "logprob_token_ids"),
        *("media_io_kwargs", "min_p", "min_tokens", "mm_processor_kwargs", "regex", "repetition_detection"),
        *("repetition_penalty", "return_token_ids", "separate_reasoning", "skip_special_tokens"),
        *("spaces_between_special_tokens", "stop_token_ids", "stream_reasoning", "structured_outputs"),
        *("thinking_token_budget", "top_k"),
    )
)
"""Left out on purpose: `chat_template` (a program), `cache_salt`, `request_id`, `session_id` and `priority` (other clients'
matters), `kv_transfer_params` and `ec_transfer_params` (addresses), `documents`, `truncate_prompt_tokens` (cuts videos)."""
ALLOWED: Final = OPENAI | ENGINES
OF_THE_VIDEO: Final = frozenset({"media_io_kwargs", "mm_processor_kwargs"})
"""How an engine should read the video that was sent: meaningless, and refused by vLLM without a flag, once it is replaced."""
EXTENSION: Final = "videorouter"
