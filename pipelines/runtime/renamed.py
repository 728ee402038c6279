"""Names of earlier versions: what is still read in files, and what the command line says about them."""

# Settings of recipes (`--set`), as they stand in the `config.json` of older runs -> their names today.
RENAMED_SETTINGS: dict[str, str] = {
    "strangers": "identity_warmup",
    "alone": "gan_warmup",
    "fades_from": "lr_decay_from",
    "falls_from": "lr_decay_from",
    "outside": "background_weight",
    "judge_rate": "discriminator_learning_rate",
    "recognizer_rate": "recognizer_learning_rate",
    "judge_every": "discriminator_every",
    "calm": "discriminator_every_switch",
    "told_apart_weight": "disentangling_weight",
    "recon_weight": "reconstruction_weight",
    "mirror": "flip",
    "halve_every": "lr_halve_every",
}

# Fields of settings -> their names in the first version, by which they count in the digests of ledgers.
FIRST_NAMES: dict[str, str] = {
    "refine_profiles": "steady",
    "round_trip": "frontalized",
    "degrade": "wear",
    "depth_jitter": "relief",
}

# Options of the command line -> their names today.
RENAMED_OPTIONS: dict[str, str] = {
    "--wear": "--degrade",
    "--relief": "--depth-jitter",
    "--frontalized": "--round-trip",
    "--steady": "--refine-profiles",
    "--no-steady": "--no-refine-profiles",
}

# Tensors in the state of older runs' networks -> their names today.
RENAMED_TENSORS: dict[str, str] = {"judge.weight": "head.weight", "judge.bias": "head.bias"}
