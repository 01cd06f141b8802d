/// What `HTTP2Connection.next` found. Pointers are valid until the input is consumed.
package enum HTTP2Event {
  /// Nothing to report until more input arrives (drop the consumed bytes first).
  case needMore
  /// The request or final response head is in `receivedHead`.
  case head(HTTP2StreamID, endStream: Bool)
  /// A 1xx response is in `receivedHead`; another head follows.
  case informational(HTTP2StreamID)
  /// Body bytes. Give `flowControlled` back with `consumed` once they were passed on.
  case data(HTTP2StreamID, UnsafeRawBufferPointer, flowControlled: Int, endStream: Bool)
  /// Trailer fields are in `receivedHead`; the receiving side of the stream has ended.
  case trailers(HTTP2StreamID)
  /// The stream is gone: the peer's RST_STREAM, or a fault we answered with RST_STREAM (`isLocal`; the reason is in
  /// `lastResetReason`), or a GOAWAY that left it out (`isLocal`, REFUSED_STREAM: safe to repeat elsewhere).
  /// A server may see it for a stream it never got a head of.
  case reset(HTTP2StreamID, HTTP2ErrorCode, isLocal: Bool)
  /// A stream that `sendData` left blocked may go on.
  case writable(HTTP2StreamID)
  /// The peer opens and accepts no more streams; ours above `lastStreamID` follow as `.reset`.
  case goAway(lastStreamID: HTTP2StreamID, HTTP2ErrorCode)
  /// The peer's settings changed.
  case settings
  /// The peer answered our PING.
  case pong(UInt64)
  /// Connection error. GOAWAY is already in the output: flush and close. Reported once.
  case failure(HTTP2ErrorCode, StaticString)
}
