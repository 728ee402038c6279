"""Face recognizers in the losses of generators."""
