/// The bounds of one HTTP/1 connection's decoder. Passing one is an `HTTP1Error` with a counter of its own.
package struct HTTP1Limits: Sendable {
  /// Bytes of a whole head, from the first byte of the start line to the end of the empty line. Passing it answers 431.
  package var maximumHeadBytes = 60 * 1024
  /// Field lines in one head or one trailer section. Passing it answers 431.
  package var maximumFields = 100
  /// Bytes of a request line without its line end. Passing it answers 414.
  package var maximumRequestLineBytes = 16 * 1024
  /// Bytes of a status line without its line end.
  package var maximumStatusLineBytes = 1024
  /// Bytes of one chunk-size line with its extensions and line end.
  package var maximumChunkLineBytes = 1024
  /// Bytes of chunk extensions in one message: what a peer can make us read for no content.
  package var maximumChunkExtensionBytes = 16 * 1024
  /// Bytes of a trailer section with its empty line. Passing it answers 431.
  package var maximumTrailerBytes = 8 * 1024
  /// Interim (1xx) responses before one final response.
  package var maximumInformationalResponses = 16

  package init() {}
}
