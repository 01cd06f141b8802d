package import MeshCore
import MeshHTTP

/// What an authorizer is told of a request, or of a connection, besides the request's head.
package struct AuthorizationQuestion {
  /// One end of the connection.
  package struct Peer {
    package var address: SocketAddress?
    /// SPIFFE id; empty for callers without one.
    package var principal: String
    /// `orders.shop`, of the destination.
    package var service: String

    package init(address: SocketAddress?, principal: String, service: String = "") {
      self.address = address
      self.principal = principal
      self.service = service
    }
  }

  package var source: Peer
  package var destination: Peer
  package var unixMilliseconds: Int64
  /// As its head says; nil: the head does not.
  package var contentLength: UInt64?
  package var body: [UInt8] = []
  /// There is more of the body.
  package var isPartial = false

  package init(source: Peer, destination: Peer, unixMilliseconds: Int64, contentLength: UInt64? = nil) {
    self.source = source
    self.destination = destination
    self.unixMilliseconds = unixMilliseconds
    self.contentLength = contentLength
  }
}

/// Which fields of a request an authorizer is told.
struct FieldChoice {
  /// In lower case; nil: all.
  private let names: Set<[UInt8]>?

  init(_ names: [String]?, besides: [String] = []) {
    self.names = names.map { Set(($0 + besides).map { Array($0.utf8) }) }
  }

  /// The name in lower case if the field is told. What belongs to one connection never is.
  func name(of field: MessageHead.Field, in head: MessageHead) -> [UInt8]? {
    guard !field.isRemoved, !field.token.isHopByHop, field.token != .host else { return nil }
    let name = head.bytes(field.name).map(\.asciiLowercased)
    return names?.contains(name) == false ? nil : name
  }
}
