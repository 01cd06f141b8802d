/// What a proxy does with the content of requests before an application has it. Tunnels, and what follows an upgrade, have none.
package struct RequestBodyPolicy: Hashable, Sendable {
  /// Longer content is refused with 413. Nil: any length.
  package var maximumBytes: UInt64?
  /// Content of at most so many bytes is held until all of it is there; only then is an endpoint chosen. Longer content goes on
  /// as it comes. Nil: nothing waits.
  package var bufferBytes: UInt32?

  package init(maximumBytes: UInt64? = nil, bufferBytes: UInt32? = nil) {
    self.maximumBytes = maximumBytes
    self.bufferBytes = bufferBytes
  }

  /// Whether content of this length is too long: `declared` by the request's head, or `received` so far.
  package func refuses(declared: UInt64?, received: UInt64) -> Bool {
    guard let maximumBytes else { return false }
    return max(declared ?? 0, received) > maximumBytes
  }

  /// Whether a request waits for the rest of its content. What says that it will not fit does not wait at all.
  ///
  /// A gRPC call never waits: it may be a conversation, whose client says more once it is answered.
  package func holds(declared: UInt64?, received: UInt64, hasEnded: Bool, isGRPC: Bool) -> Bool {
    guard let bufferBytes, !hasEnded, !isGRPC else { return false }
    return max(declared ?? 0, received) <= UInt64(bufferBytes)
  }
}
