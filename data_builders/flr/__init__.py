"""Video-FLR: which frames carry the evidence for a question (paper section 4, data)."""
