"""The parts of the page, each made from the run's data alone."""
