package import MeshPolicy

/// An SMI `HTTPRouteGroup` (v1alpha1 to v1alpha4): named conditions on requests, for those who name the group.
package struct HTTPRouteGroup: Hashable, Sendable {
  package static let maximumMatches = 64

  package var metadata: ObjectMetadata
  /// Alternatives.
  package var matches: [Match]

  package init(metadata: ObjectMetadata, matches: [Match]) {
    self.metadata = metadata
    self.matches = matches
  }

  package struct Match: Hashable, Sendable {
    package var name: String
    /// Of the beginning of the path: `/orders` also takes `/ordersold`. Nil: every path.
    package var pathRegex: String?
    /// Empty: every method.
    package var methods: [String]
    /// All of them must hold, each for the whole value.
    package var headers: [HeaderMatch]

    package init(name: String, pathRegex: String? = nil, methods: [String] = [], headers: [HeaderMatch] = []) {
      self.name = name
      self.pathRegex = pathRegex
      self.methods = methods
      self.headers = headers
    }

    /// The same in the words of the snapshot, whose matches have one method and patterns of the whole path.
    package var alternatives: [RouteMatch] {
      let path = pathRegex.map { PathMatch.regularExpression(Self.wholePath($0)) }
      guard !methods.isEmpty else { return [RouteMatch(path: path, headers: headers)] }
      return methods.map { RouteMatch(path: path, method: $0, headers: headers) }
    }

    package static func wholePath(_ beginning: String) -> String { "(\(beginning)).*" }
  }
}

/// An SMI `TCPRoute` (v1alpha1 to v1alpha4) or `UDPRoute` (v1alpha4): ports of a destination, for a TrafficTarget to name.
package struct PortRoute: Hashable, Sendable {
  package enum Transport: String, Hashable, Sendable {
    case tcp = "TCP"
    case udp = "UDP"
  }

  package var metadata: ObjectMetadata
  package var transport: Transport
  /// Empty: every port.
  package var ports: [UInt16]

  package init(metadata: ObjectMetadata, transport: Transport, ports: [UInt16]) {
    self.metadata = metadata
    self.transport = transport
    self.ports = ports
  }
}
