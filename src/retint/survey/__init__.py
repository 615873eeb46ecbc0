"""The human test: people say which of two photographs a computer has coloured."""
