/// An SMI `TrafficTarget` (v1alpha1 to v1alpha4): who may call the workloads of one identity, and for what.
///
/// It admits; nothing in it refuses. Whatever no target of a workload admits is refused.
package struct TrafficTarget: Hashable, Sendable {
  package static let maximumSources = 64
  package static let maximumRules = 64

  /// Who, as `destination` and `sources` name it.
  package struct Subject: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
      case serviceAccount = "ServiceAccount"
      case identityBinding = "IdentityBinding"
    }

    package var kind: Kind
    package var name: String
    /// The target's own where the manifest says none.
    package var namespace: String

    package init(kind: Kind, name: String, namespace: String) {
      self.kind = kind
      self.name = name
      self.namespace = namespace
    }
  }

  /// What is admitted: an object of SMI's specs in the target's own namespace.
  package struct Rule: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
      case httpRouteGroup = "HTTPRouteGroup"
      case tcpRoute = "TCPRoute"
      case udpRoute = "UDPRoute"
    }

    package var kind: Kind
    package var name: String
    /// Of a group; empty: all of its matches.
    package var matches: [String]

    package init(kind: Kind, name: String, matches: [String] = []) {
      self.kind = kind
      self.name = name
      self.matches = matches
    }
  }

  package var metadata: ObjectMetadata
  package var destination: Subject
  /// Of v1alpha1 and v1alpha2. Nil: all ports.
  package var port: UInt16?
  package var rules: [Rule]
  package var sources: [Subject]

  package init(
    metadata: ObjectMetadata, destination: Subject, port: UInt16? = nil, rules: [Rule], sources: [Subject]
  ) {
    self.metadata = metadata
    self.destination = destination
    self.port = port
    self.rules = rules
    self.sources = sources
  }
}

/// An SMI `IdentityBinding` (v1alpha4): a name for identities, which TrafficTargets use. Its namespace bounds what it can name by labels and
/// by account.
package struct IdentityBinding: Hashable, Sendable {
  package static let maximumIdentities = 64

  package var metadata: ObjectMetadata
  /// Labels of workloads in its own namespace, one set of which is enough. Empty: the scheme is not used.
  package var selectors: [[String: String]]
  /// SPIFFE ids, `spiffe://` in front.
  package var identities: [String]
  /// In its own namespace.
  package var serviceAccount: String?

  package init(
    metadata: ObjectMetadata, selectors: [[String: String]] = [], identities: [String] = [],
    serviceAccount: String? = nil
  ) {
    self.metadata = metadata
    self.selectors = selectors
    self.identities = identities
    self.serviceAccount = serviceAccount
  }
}
