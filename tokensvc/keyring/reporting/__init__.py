"""What is reported about the runs of `keys reconcile`: their record in the state, notifications."""
