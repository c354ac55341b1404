"""The launcher of `make run`: it starts Local IVS, the service and the example backend."""
