"""Labels looked at by people: a page to judge a sample of them, and how many were agreed with."""

from videorouter.data_builders.audit.agreement import Agreement, agreement, print_agreement
from videorouter.data_builders.audit.page import write_audit

__all__ = ["Agreement", "agreement", "print_agreement", "write_audit"]
