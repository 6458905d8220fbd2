"""Who answers: the base that is loaded here, a vLLM that is sent embeddings, any server that is sent pictures."""
