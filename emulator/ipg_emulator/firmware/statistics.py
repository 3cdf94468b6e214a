"""What the link counts over one boot, for GET_LINK_STATISTICS."""

from __future__ import annotations

import msgspec
from ipg_protocol.command import Reply
from ipg_protocol.commands.link import LinkStatistics
from ipg_protocol.frame import FrameReader
from ipg_protocol.vocabulary import Status


class Statistics(msgspec.Struct):
    """What is counted beside what the frame reader counts."""

    bytes_received: int = 0
    frames_sent: int = 0
    requests_executed: int = 0
    requests_refused: int = 0
    requests_replayed: int = 0
    events_sent: int = 0
    output_dropped: int = 0

    def count_reply(self, reply: Reply) -> None:
        """Count how a request was answered."""
        if reply.flags:
            self.requests_replayed += 1
        elif reply.status is Status.OK:
            self.requests_executed += 1
        else:
            self.requests_refused += 1

    def report(self, reader: FrameReader) -> LinkStatistics:
        """All counts, as the wire has them."""
        noise = reader.noise
        return LinkStatistics(
            bytes_received=self.bytes_received % 2**32,
            frames_received=reader.frames,
            frames_sent=self.frames_sent,
            noise_oversize=noise.oversize,
            noise_bad_cobs=noise.bad_cobs,
            noise_bad_length=noise.bad_length,
            noise_bad_crc=noise.bad_crc,
            noise_bad_kind=noise.bad_kind,
            noise_timed_out=noise.timed_out,
            requests_executed=self.requests_executed,
            requests_refused=self.requests_refused,
            requests_replayed=self.requests_replayed,
            events_sent=self.events_sent,
            output_dropped=self.output_dropped,
        )
