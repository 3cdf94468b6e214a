"""What echo.c does, for machines without a C compiler; a floor measured with it is higher, and says so."""

import os
import pty
import sys
import tty


def main() -> None:
    """Answer every REQUEST bytes with ANSWER bytes; the two sizes are the arguments."""
    request, answer = int(sys.argv[1]), bytes(int(sys.argv[2]))
    master, slave = pty.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    received = 0
    while True:
        received += len(os.read(master, 512))
        while received >= request:
            os.write(master, answer)
            received -= request


if __name__ == "__main__":
    main()
