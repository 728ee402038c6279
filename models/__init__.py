"""Networks and losses: tensors in, tensors out. No files, no command line."""
