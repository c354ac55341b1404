"""The doctor: ring against custody against IVS, each finding with what mends it."""
