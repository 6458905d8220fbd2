"""An OpenAI-compatible endpoint that routes video tokens, in front of the own model, a vLLM, or any upstream; and its page."""
