import MeshCore
import MeshPolicy
import MeshRuntime

/// Who calls by one connection, and the rules of the port that it asked last: made with the first request that is judged.
///
/// Confined to one worker loop.
final class ConnectionCaller {
  let facts: CallerFacts
  var rules: CallerRules?

  init(_ facts: CallerFacts) { self.facts = facts }

  convenience init(_ connection: Connection) {
    self.init(CallerFacts(identity: connection.tls?.peerIdentity, address: connection.peerAddress))
  }
}

/// A port's rules for one identity, shared by its connections.
final class CallerRules {
  /// Of the port's rules. An object, and held: its address cannot come to mean later ones.
  final class Edition {}

  let edition: Edition
  let authorizer: Authorizer

  init(edition: Edition, authorizer: Authorizer) {
    self.edition = edition
    self.authorizer = authorizer
  }
}

extension Downstream {
  /// Who asks, as the connection proves it.
  var caller: ConnectionCaller {
    switch self {
    case .http1(let connection): connection.caller
    case .http2(let connection, _): connection.caller
    case .raw(let connection): connection.caller
    default: ConnectionCaller(CallerFacts(identity: nil, address: nil))
    }
  }
}
