"""What every app shares: settings, errors, tables in, files out, summaries, resuming, progress."""
