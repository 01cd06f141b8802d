import MeshHTTP

/// RFC 9113, sections 4 (frames) and 5 (streams).
enum HTTP2FrameRequirements {
  private static let part = frame(1, 1, 1, Array(getBlock[..<2]))
  private static let rest = frame(9, 4, 1, Array(getBlock[2...]))
  private static let get = ["head 1 get / end"]
  private static let post = ["head 1 post /"]

  static let frames: [HTTP2Requirement] = [
    .init("4.1 a frame of unknown type is ignored", frame(0xBB, 0xFF, 0, [1, 2, 3]), gives: .accepted([])),
    .init("4.1 flags without meaning are ignored", frame(6, 0xFE, 0, zeros(8)), gives: .accepted([])),
    .init("4.1 the reserved bit is ignored", frame(1, 5, 0x8000_0001, getBlock), gives: .accepted(get)),
    .init(
      "4.2 a frame of 16,384 bytes is taken", openPost, frame(0, 1, 1, zeros(16384)),
      gives: .accepted(post + ["end 1 after 16384"])),
    .init(
      "4.2 DATA above the limit", openPost, frame(0, 0, 1, zeros(16385)),
      gives: .connectionError(.frameSizeError, last: 1)),
    .init(
      "4.2 HEADERS above the limit", frame(1, 4, 1, zeros(16385)), gives: .connectionError(.frameSizeError, last: 0)),
    .init(
      "4.2 an unknown frame above the limit", frame(0xBB, 0, 0, zeros(16385)),
      gives: .connectionError(.frameSizeError, last: 0)),
    .init(
      "4.3 a block that cannot be decoded", frame(1, 5, 1, [0x80]), gives: .connectionError(.compressionError, last: 1)),
    .init(
      "4.3 trailers that cannot be decoded", openPost, frame(1, 5, 1, [0x40]),
      gives: .connectionError(.compressionError, last: 1)),
    .init(
      "4.3 a block of a stream that was reset changes the table, too", openPost, resetFrame(1),
      frame(1, 5, 1, [0x40, 1, 0x78, 1, 0x79]), frame(1, 5, 3, getBlock + [0xBE]),
      gives: .survived(["head 1 post /", "reset 1 8", "reset 1 5 local", "head 3 get /|x: y end"])),
    .init(
      "4.3 a malformed request's block changes the table, too", frame(1, 5, 1, [0x40, 1, 0x78, 1, 0x79]),
      frame(1, 5, 3, getBlock + [0xBE]),
      gives: .survived(["reset 1 1 local", "head 3 get /|x: y end"])),
  ]

  /// Nothing but CONTINUATION of the same stream may stand inside a field block.
  static let interruptions: [HTTP2Requirement] = [
    ("DATA", frame(0, 0, 1, [1])), ("HEADERS", frame(1, 5, 1, getBlock)), ("another HEADERS", frame(1, 5, 3, getBlock)),
    ("PRIORITY", priorityFrame(1)), ("RST_STREAM", resetFrame(1)), ("SETTINGS", emptySettings),
    ("PUSH_PROMISE", frame(5, 4, 1, word(2))), ("PING", frame(6, 0, 0, zeros(8))), ("GOAWAY", frame(7, 0, 0, zeros(8))),
    ("WINDOW_UPDATE", windowUpdate(0, 1)), ("another CONTINUATION", frame(9, 4, 3)),
    ("an unknown frame", frame(0xBB, 0, 1)),
  ].flatMap { name, bytes in
    [
      HTTP2Requirement("4.3 \(name) behind HEADERS", part, bytes, gives: .connectionError(.protocolError, last: 0)),
      HTTP2Requirement(
        "6.10 \(name) behind CONTINUATION", part, frame(9, 0, 1), bytes,
        gives: .connectionError(.protocolError, last: 0)),
    ]
  }

  static let states: [HTTP2Requirement] = [
    .init("5.1 idle: DATA", frame(0, 0, 1, [1]), gives: .connectionError(.protocolError, last: 0)),
    .init("5.1 idle: RST_STREAM", resetFrame(1), gives: .connectionError(.protocolError, last: 0)),
    .init("5.1 idle: WINDOW_UPDATE", windowUpdate(1, 1), gives: .connectionError(.protocolError, last: 0)),
    .init("5.1 idle: CONTINUATION", frame(9, 4, 1, getBlock), gives: .connectionError(.protocolError, last: 0)),
    .init("5.1 idle: PRIORITY", priorityFrame(9), wholeGet, gives: .accepted(get)),
    .init("5.1 half closed: DATA", wholeGet, frame(0, 0, 1, [1]), gives: .streamError(.streamClosed, 1)),
    .init("5.1 half closed: HEADERS", wholeGet, wholeGet, gives: .streamError(.streamClosed, 1)),
    .init(
      "5.1 half closed: CONTINUATION", wholeGet, frame(9, 4, 1, getBlock),
      gives: .connectionError(.protocolError, last: 1)),
    .init(
      "5.1 half closed: WINDOW_UPDATE and PRIORITY", wholeGet, windowUpdate(1, 1), priorityFrame(1),
      gives: .accepted(get)),
    .init("5.1 half closed: RST_STREAM", wholeGet, resetFrame(1), gives: .accepted(get + ["reset 1 8"])),
    .init(
      "5.1 reset by the peer: DATA", openPost, resetFrame(1), frame(0, 0, 1, [1]), gives: .streamError(.streamClosed, 1)
    ),
    .init("5.1 reset by the peer: HEADERS", openPost, resetFrame(1), wholeGet, gives: .streamError(.streamClosed, 1)),
    .init(
      "5.1 reset by the peer: control frames", openPost, resetFrame(1), windowUpdate(1, 1), priorityFrame(1),
      resetFrame(1),
      gives: .accepted(post + ["reset 1 8"])),
    .init(
      "5.1 reset by us: what was on its way is ignored", frame(1, 4, 1, [0x83]), frame(0, 0, 1, [1]),
      frame(0, 1, 1, [2]), windowUpdate(1, 1), resetFrame(1), gives: .streamError(.protocolError, 1)),
    .init(
      "5.1 ended: DATA", wholeGet, frame(0, 0, 1, [1]), answers: true, gives: .connectionError(.streamClosed, last: 1)),
    .init("5.1 ended: HEADERS", wholeGet, wholeGet, answers: true, gives: .connectionError(.streamClosed, last: 1)),
    .init(
      "5.1 ended: control frames", wholeGet, windowUpdate(1, 1), priorityFrame(1), resetFrame(1), answers: true,
      gives: .accepted(get)),
    .init("5.1.1 an even stream", frame(1, 5, 2, getBlock), gives: .connectionError(.protocolError, last: 0)),
    .init(
      "5.1.1 a stream below an earlier one", frame(1, 5, 5, getBlock), frame(1, 5, 3, getBlock),
      gives: .connectionError(.protocolError, last: 5)),
    .init(
      "5.1.1 streams may be left out", wholeGet, frame(1, 5, 97, getBlock),
      gives: .accepted(get + ["head 97 get / end"])),
    .init(
      "5.3.1 HEADERS that depend on their own stream", frame(1, 0x25, 1, word(1) + [0] + getBlock),
      gives: .streamError(.protocolError, 1)),
    .init(
      "5.3.1 HEADERS that depend on their own stream exclusively, in two frames",
      frame(1, 0x21, 1, word(0x8000_0001) + [0] + getBlock[..<2]), rest, gives: .streamError(.protocolError, 1)),
    .init(
      "5.3.1 PRIORITY that makes an open stream depend on itself", openPost, priorityFrame(1, dependsOn: 1),
      gives: .streamError(.protocolError, 1)),
    .init(
      "5.3.1 PRIORITY that makes an idle stream depend on itself", priorityFrame(1, dependsOn: 1),
      gives: .connectionError(.protocolError, last: 0)),
    .init(
      "5.3.2 priorities are ignored", priorityFrame(1, dependsOn: 3), frame(2, 0, 7, word(0x8000_0001) + [255]),
      frame(1, 0x25, 1, word(5) + [255] + getBlock), gives: .accepted(get)),
    .init(
      "5.4.2 one stream's error leaves another alone", openPost, frame(1, 5, 3, [0x82]), frame(0, 1, 1, [1]),
      gives: .survived(post + ["reset 3 1 local", "end 1 after 1"])),
  ]
}
