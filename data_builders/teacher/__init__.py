"""The teacher: any OpenAI-compatible endpoint, asked for JSON of a schema; every answer is paid for once and kept."""
