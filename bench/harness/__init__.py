"""What every measurement stands on: the run's context, processes, accounting, load generators, rounds."""
