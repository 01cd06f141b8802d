/// Drives one connection. Called on the loop of the connection's worker only.
package protocol ConnectionHandler: AnyObject {
  /// Connected, and TLS is done. For an accepted plaintext connection not called.
  func connectionOpened(_ connection: Connection)
  /// New bytes in `connection.input`, or old ones again after `resumeReading`.
  func connectionReceived(_ connection: Connection)
  /// The peer ended its side (FIN, close_notify). Called once, after the last `connectionReceived`.
  func connectionReachedEnd(_ connection: Connection)
  /// The output fell to the low watermark after a flush had found it at or over the high one.
  func connectionDrained(_ connection: Connection)
  /// Exactly once, the last call. What was not consumed is still in `connection.input`.
  func connectionClosed(_ connection: Connection, _ reason: CloseReason)
}

/// Takes the connections of a listener.
package protocol ListenerHandler: AnyObject {
  /// Set `connection.handler`, and call `connection.startTLS(server:)` when the listener speaks TLS.
  func accepted(_ connection: Connection, on listener: Listener)
}

/// Is told once when the turn in which it registered has handled all its events, before the flush.
package protocol TurnHandler: AnyObject {
  func turnEnded()
}
