"""Data sets looked at before they train: checked, measured, packed into shards."""
