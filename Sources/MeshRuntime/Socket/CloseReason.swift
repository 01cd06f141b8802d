internal import Glibc

/// Why a connection ended. The text tells an operator what to check.
package enum CloseReason: Hashable, Sendable, CustomStringConvertible {
  /// Both sides ended in order.
  case peerClosed
  /// The peer cut the connection (RST, or end of file inside TLS without close_notify).
  case peerReset
  case connectRefused
  case connectTimeout
  case connectFailed(errno: Int32)
  case ioError(errno: Int32)
  case tls(TLSFailure, detail: String)
  /// Closed by this side after its output was flushed, or by `close(.local)`.
  case local
  /// Closed by this side because nothing happened for too long.
  case idle
  /// Cut by this side because the peer did not answer a sign-of-life request.
  case keepaliveTimeout
  /// Cut by this side because the peer took nothing of the waiting output for `Connection.flushTimeout`.
  case flushTimeout
  /// Cut by this side with RST, or the worker stopped.
  case aborted

  package var description: String {
    switch self {
    case .peerClosed: "the peer closed the connection"
    case .peerReset: "the peer reset the connection; did its process crash or restart?"
    case .connectRefused: "connection refused; is a process listening on that address and port?"
    case .connectTimeout: "no answer to connect; is a firewall or NetworkPolicy dropping packets to this port?"
    case .connectFailed(let code): "cannot connect: \(RuntimeError.text(code)); check address and route"
    case .ioError(let code): "connection failed: \(RuntimeError.text(code))"
    case .tls(let failure, let detail): detail.isEmpty ? "TLS: \(failure)" : "TLS: \(failure): \(detail)"
    case .local: "closed by this side"
    case .idle: "closed by this side after being idle"
    case .keepaliveTimeout: "the peer gave no sign of life; is its host or process gone, or the network between?"
    case .flushTimeout: "the peer does not read what is sent to it"
    case .aborted: "aborted by this side"
    }
  }

  static func connecting(_ code: Int32) -> CloseReason {
    switch code {
    case ECONNREFUSED: .connectRefused
    case ETIMEDOUT: .connectTimeout
    default: .connectFailed(errno: code)
    }
  }

  static func established(_ code: Int32) -> CloseReason {
    switch code {
    case ECONNRESET, EPIPE: .peerReset
    default: .ioError(errno: code)
    }
  }
}
