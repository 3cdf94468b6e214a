"""A virtual implantable pulse generator: firmware, board and patient behind a serial port that is not there."""
