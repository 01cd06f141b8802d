import MeshCore

/// Where something runs, as its labels `topology.kubernetes.io/region` and `topology.kubernetes.io/zone` say. Empty: not known.
package struct Locality: Hashable, Sendable {
  package var region: String
  package var zone: String

  package init(region: String = "", zone: String = "") {
    self.region = region
    self.zone = zone
  }

  package static let regionLabel = "topology.kubernetes.io/region"
  package static let zoneLabel = "topology.kubernetes.io/zone"

  package init(labels: [String: String]) {
    self.init(region: labels[Self.regionLabel] ?? "", zone: labels[Self.zoneLabel] ?? "")
  }
}

/// Which zones' endpoints the requests of a client go to: without more the client's own zone first, then its region, then the rest.
///
/// A client whose zone is not known has none to prefer, and uses all endpoints alike.
package struct LocalityPolicy: Hashable, Sendable {
  /// The zones that take over for clients of one, in this order.
  package struct Failover: Hashable, Sendable {
    package var from: ZoneSelector
    package var to: [String]

    package init(from: ZoneSelector, to: [String]) {
      self.from = from
      self.to = to
    }
  }

  /// The parts of the requests of one zone's clients that go to some zones.
  package struct Distribution: Hashable, Sendable {
    package var from: ZoneSelector
    package var to: [ZoneShare]

    package init(from: ZoneSelector, to: [ZoneShare]) {
      self.from = from
      self.to = to
    }
  }

  package struct ZoneShare: Hashable, Sendable {
    package var zone: String
    package var percent: UInt32

    package init(zone: String, percent: UInt32) {
      self.zone = zone
      self.percent = percent
    }
  }

  package enum ZoneSelector: Hashable, Sendable {
    /// Every zone that no other entry names.
    case any
    case zone(String)
  }

  /// A zone gives nothing away while its available share times this is 100 percent or more: with 140, until more than two
  /// sevenths are out.
  package var overprovisioningPercent: UInt32
  package var failover: [Failover]
  /// Goes before `failover` for the clients it is for.
  package var distribution: [Distribution]
  /// Requests under way that a zone takes from one proxy, for each available endpoint; what comes above goes on to the next. Nil:
  /// any number.
  package var activeRequestsPerEndpoint: UInt32?

  package init(
    overprovisioningPercent: UInt32 = 140, failover: [Failover] = [], distribution: [Distribution] = [],
    activeRequestsPerEndpoint: UInt32? = nil
  ) {
    self.overprovisioningPercent = overprovisioningPercent
    self.failover = failover
    self.distribution = distribution
    self.activeRequestsPerEndpoint = activeRequestsPerEndpoint
  }
}
