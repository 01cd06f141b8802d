import MeshHTTP

/// RFC 9113, sections 6 (what each frame must look like) and 7 (codes).
enum HTTP2DefinitionRequirements {
  private static let get = ["head 1 get / end"]
  private static let post = ["head 1 post /"]
  private static let maximum: UInt32 = 0x7FFF_FFFF

  static let content: [HTTP2Requirement] = [
    .init(
      "6.1 DATA in pieces, an empty one among them", openPost, frame(0, 0, 1, [1]), frame(0, 0, 1), frame(0, 1, 1, [2]),
      gives: .accepted(post + ["end 1 after 2"])),
    .init("6.1 an empty DATA ends a stream", openPost, frame(0, 1, 1), gives: .accepted(post + ["end 1 after 0"])),
    .init(
      "6.1 padding is no content, whatever its bytes", openPost, frame(0, 9, 1, [2, 7, 1, 2]),
      gives: .accepted(post + ["end 1 after 1"])),
    .init(
      "6.1 padding alone", openPost, frame(0, 9, 1, [3, 0, 0, 0]), gives: .accepted(post + ["end 1 after 0"])),
    .init(
      "6.1 a pad length of 0", openPost, frame(0, 9, 1, [0, 7]), gives: .accepted(post + ["end 1 after 1"])),
    .init("6.1 DATA on stream 0", frame(0, 0, 0, [1]), gives: .connectionError(.protocolError, last: 0)),
    .init(
      "6.1 padding as long as the payload", openPost, frame(0, 8, 1, [2, 0]),
      gives: .connectionError(.protocolError, last: 1)),
    .init(
      "6.1 no room for the pad length", openPost, frame(0, 8, 1), gives: .connectionError(.frameSizeError, last: 1)),
    .init("6.2 padding", frame(1, 13, 1, [2] + getBlock + [0, 0]), gives: .accepted(get)),
    .init("6.2 a priority", frame(1, 0x25, 1, word(0) + [1] + getBlock), gives: .accepted(get)),
    .init(
      "6.2 padding and a priority", frame(1, 0x2D, 1, [2] + word(0) + [1] + getBlock + [0, 0]), gives: .accepted(get)),
    .init("6.2 HEADERS on stream 0", frame(1, 5, 0, getBlock), gives: .connectionError(.protocolError, last: 0)),
    .init("6.2 padding too long", frame(1, 13, 1, [2, 0x82]), gives: .connectionError(.protocolError, last: 0)),
    .init("6.2 no room for the pad length", frame(1, 13, 1), gives: .connectionError(.frameSizeError, last: 0)),
    .init(
      "6.2 no room for the priority", frame(1, 0x25, 1, zeros(4)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.2 no fields at all", frame(1, 5, 1), gives: .streamError(.protocolError, 1)),
    .init("6.3 PRIORITY on stream 0", priorityFrame(0), gives: .connectionError(.protocolError, last: 0)),
    .init("6.3 four bytes, open stream", openPost, frame(2, 0, 1, zeros(4)), gives: .streamError(.frameSizeError, 1)),
    .init("6.3 six bytes, idle stream", frame(2, 0, 1, zeros(6)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.4 RST_STREAM ends a stream", openPost, resetFrame(1), gives: .accepted(post + ["reset 1 8"])),
    .init("6.4 RST_STREAM on stream 0", resetFrame(0), gives: .connectionError(.protocolError, last: 0)),
    .init("6.4 three bytes", openPost, frame(3, 0, 1, zeros(3)), gives: .connectionError(.frameSizeError, last: 1)),
    .init("6.4 five bytes", openPost, frame(3, 0, 1, zeros(5)), gives: .connectionError(.frameSizeError, last: 1)),
    .init(
      "6.10 a block in pieces of one byte",
      frame(1, 1, 1) + getBlock.flatMap { frame(9, 0, 1, [$0]) }, frame(9, 4, 1), gives: .accepted(get)),
    .init(
      "6.10 END_STREAM of HEADERS holds although CONTINUATION follows", frame(1, 1, 1, getBlock), frame(9, 4, 1),
      frame(0, 0, 1, [1]), gives: .streamError(.streamClosed, 1)),
    .init(
      "6.10 CONTINUATION on stream 0", frame(1, 1, 1, getBlock), frame(9, 4, 0),
      gives: .connectionError(.protocolError, last: 0)),
    .init(
      "6.10 CONTINUATION behind END_HEADERS", openPost, frame(9, 4, 1, getBlock),
      gives: .connectionError(.protocolError, last: 1)),
    .init(
      "6.10 CONTINUATION behind the last CONTINUATION", frame(1, 0, 1, postBlock), frame(9, 4, 1), frame(9, 4, 1),
      gives: .connectionError(.protocolError, last: 1)),
    .init(
      "6.10 CONTINUATION behind DATA", openPost, frame(0, 0, 1, [1]), frame(9, 4, 1, getBlock),
      gives: .connectionError(.protocolError, last: 1)),
  ]

  static let control: [HTTP2Requirement] = [
    .init("6.5 SETTINGS on a stream", frame(4, 0, 1), gives: .connectionError(.protocolError, last: 0)),
    .init("6.5 five bytes", frame(4, 0, 0, zeros(5)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.5 seven bytes", frame(4, 0, 0, zeros(7)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.5 an acknowledgement", frame(4, 1, 0), gives: .accepted([])),
    .init(
      "6.5 an acknowledgement with content", frame(4, 1, 0, zeros(6)), gives: .connectionError(.frameSizeError, last: 0)
    ),
    .init("6.5.2 ENABLE_PUSH 0 and 1", setting(2, 0), setting(2, 1), gives: .accepted(["settings", "settings"])),
    .init("6.5.2 ENABLE_PUSH 2", setting(2, 2), gives: .connectionError(.protocolError, last: 0)),
    .init("6.5.2 INITIAL_WINDOW_SIZE 2^31-1", setting(4, maximum), gives: .accepted(["settings"])),
    .init("6.5.2 INITIAL_WINDOW_SIZE 2^31", setting(4, 1 << 31), gives: .connectionError(.flowControlError, last: 0)),
    .init(
      "6.5.2 MAX_FRAME_SIZE at its bounds", setting(5, 16384), setting(5, 0xFF_FFFF),
      gives: .accepted(["settings", "settings"])),
    .init("6.5.2 MAX_FRAME_SIZE 16,383", setting(5, 16383), gives: .connectionError(.protocolError, last: 0)),
    .init("6.5.2 MAX_FRAME_SIZE 2^24", setting(5, 1 << 24), gives: .connectionError(.protocolError, last: 0)),
    .init(
      "6.5.2 values without bounds", setting(1, .max), setting(3, .max), setting(3, 0), setting(6, 0),
      gives: .accepted(["settings", "settings", "settings", "settings"])),
    .init("6.5.2 an unknown setting", setting(99, 5), gives: .accepted(["settings"])),
    .init(
      "6.5.3 the last of several values counts, and each is checked",
      frame(4, 0, 0, [0, 4] + word(1 << 31) + [0, 4] + word(1)), gives: .connectionError(.flowControlError, last: 0)),
    .init("RFC 8441, 3 ENABLE_CONNECT_PROTOCOL 2", setting(8, 2), gives: .connectionError(.protocolError, last: 0)),
    .init(
      "6.6 PUSH_PROMISE from a client", openPost, frame(5, 4, 1, word(2) + getBlock),
      gives: .connectionError(.protocolError, last: 1)),
    .init("6.7 PING on a stream", frame(6, 0, 1, zeros(8)), gives: .connectionError(.protocolError, last: 0)),
    .init("6.7 seven bytes", frame(6, 0, 0, zeros(7)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.7 nine bytes", frame(6, 0, 0, zeros(9)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.7 an answer to no question", frame(6, 1, 0, zeros(8)), gives: .accepted([])),
    .init(
      "6.8 GOAWAY lets open streams go on", openPost, frame(7, 0, 0, zeros(8) + [1, 2]), frame(0, 1, 1, [1]),
      gives: .accepted(post + ["goaway 0 0", "end 1 after 1"])),
    .init("6.8 GOAWAY on a stream", frame(7, 0, 1, zeros(8)), gives: .connectionError(.protocolError, last: 0)),
    .init("6.8 seven bytes", frame(7, 0, 0, zeros(7)), gives: .connectionError(.frameSizeError, last: 0)),
    .init("6.9 WINDOW_UPDATE", openPost, windowUpdate(0, 1), windowUpdate(1, 1), gives: .accepted(post)),
    .init(
      "6.9 the reserved bit is ignored", openPost, windowUpdate(1, 0x8000_0001), windowUpdate(0, 0x8000_0001),
      gives: .accepted(post)),
    .init("6.9 three bytes", frame(8, 0, 0, zeros(3)), gives: .connectionError(.frameSizeError, last: 0)),
    .init(
      "6.9 five bytes, on a stream", openPost, frame(8, 0, 1, zeros(5)),
      gives: .connectionError(.frameSizeError, last: 1)),
    .init("6.9 0 for the connection", windowUpdate(0, 0), gives: .connectionError(.protocolError, last: 0)),
    .init("6.9 0 for a stream", openPost, windowUpdate(1, 0), gives: .streamError(.protocolError, 1)),
    .init(
      "6.9.1 the connection's window at its bound", windowUpdate(0, maximum - 65535), gives: .accepted([])),
    .init(
      "6.9.1 the connection's window above it", windowUpdate(0, maximum - 65535), windowUpdate(0, 1),
      gives: .connectionError(.flowControlError, last: 0)),
    .init(
      "6.9.1 a stream's window at its bound", openPost, windowUpdate(1, maximum - 65535), gives: .accepted(post)),
    .init(
      "6.9.1 a stream's window above it", openPost, windowUpdate(1, maximum - 65535), windowUpdate(1, 1),
      gives: .streamError(.flowControlError, 1)),
    .init(
      "6.9.2 SETTINGS that lift a stream's window above it", openPost, windowUpdate(1, maximum - 65535),
      setting(4, 65536), gives: .connectionError(.flowControlError, last: 1)),
    .init(
      "7 unknown codes end what they end", openPost, frame(3, 0, 1, word(0xFFFF)),
      frame(7, 0, 0, word(0) + word(0xFFFE)),
      gives: .accepted(post + ["reset 1 65535", "goaway 0 65534"])),
  ]
}
