"""Training recipes: nets, losses and one step each. The loop in pipelines.train calls nothing else."""
