"""`tokensvc keys doctor`: compare ring, custody and IVS; report findings with hints."""
