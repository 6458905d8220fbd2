"""Annotation formats: from their own rows to `VideoQuestion`; and which questions may be trained on."""
