"""OpinionQA: survey questions answered in the place of demographic groups, without and with their value profiles."""
