package import MeshHTTP

/// Whether a request whose reused connection died may go out once more on another connection.
///
/// An upstream may close an idle connection at the moment a request is written to it; the client did nothing wrong and
/// should not see it (RFC 9112, section 9.3.1). A request that the upstream may have acted on is repeated only when its
/// method is idempotent (RFC 9110, section 9.2.2).
package struct ReuseRetry: Sendable {
  /// Most transparent repeats of one request.
  package static let maximumRetries = 1

  /// Without those after a refusal, which proves that nothing was processed.
  package var retriesSoFar: Int
  /// The connection had served another request before this one.
  package var connectionWasReused: Bool
  package var responseBytesSeen: Bool
  /// Bytes of the request body that were taken from the client; they cannot be replayed.
  package var requestBodyBytesTaken: UInt64
  package var method: Method
  /// The peer said so (HTTP/2 REFUSED_STREAM, or GOAWAY below this stream), or nothing was written to the socket.
  package var provablyUnprocessed: Bool

  package init(
    retriesSoFar: Int, connectionWasReused: Bool, responseBytesSeen: Bool, requestBodyBytesTaken: UInt64,
    method: Method, provablyUnprocessed: Bool = false
  ) {
    self.retriesSoFar = retriesSoFar
    self.connectionWasReused = connectionWasReused
    self.responseBytesSeen = responseBytesSeen
    self.requestBodyBytesTaken = requestBodyBytesTaken
    self.method = method
    self.provablyUnprocessed = provablyUnprocessed
  }

  package var isAllowed: Bool {
    guard retriesSoFar < Self.maximumRetries, !responseBytesSeen, requestBodyBytesTaken == 0 else { return false }
    return provablyUnprocessed || connectionWasReused && method.isIdempotent
  }
}
