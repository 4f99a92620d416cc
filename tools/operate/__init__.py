"""What an operator does with a stack that runs: the platform on this machine, or one on AWS."""
