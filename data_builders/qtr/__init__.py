"""Video-QTR: which allocation policy answers a question best (paper section 4, data)."""
