# checkov imports what this list names.
__all__ = ["d1_rules"]
