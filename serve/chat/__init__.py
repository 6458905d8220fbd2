"""What clients of OpenAI's /v1/chat/completions send and are answered, as values: no network and no model here."""
