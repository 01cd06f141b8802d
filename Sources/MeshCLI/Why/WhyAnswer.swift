/// `apus why`, as JSON and for the text. Times in milliseconds; shares from 0 to 1.
package struct WhyAnswer: Encodable, Sendable {
  package var request: Request
  package var caller: Caller
  /// Absent when the host names no service of the mesh.
  package var service: Service?
  /// Absent when none matches.
  package var rule: Rule?
  /// Rules that go before and do not match; all of the service's when none does.
  package var passedOver: [PassedOver] = []
  /// Rules that match, too, and are tried later; those that take everything left out.
  package var alsoMatching: [String] = []
  /// What the caller's proxy answers by itself, without asking a backend.
  package var reply: Reply?
  package var backends: [Backend] = []
  package var mirrors: [Mirror] = []
  /// What else there is to know.
  package var notes: [String] = []
  /// True when every such request finds a backend and an endpoint.
  package var delivered = false
  /// What goes wrong, the first reason first.
  package var failures: [Failure] = []

  package struct Request: Encodable, Sendable {
    package var method: String
    package var authority: String
    package var target: String
    package var headers: [WhyRequest.Header]
    package var isGRPC: Bool
    /// A CONNECT: its bytes follow one rule.
    package var isTunnel: Bool
  }

  package struct Caller: Hashable, Encodable, Sendable {
    package var workload: String
    package var service: String
    package var namespace: String
    package var identity: String
    package var address: String
    package var ready: Bool
    package var connected: Bool
    /// Where it runs, as far as its labels say.
    package var zone: String?
    package var region: String?
    /// SYNCED, STALE or REJECTED: whether its proxy has what this answer is made of.
    package var configuration: String
  }

  package struct Service: Encodable, Sendable {
    package var name: String
    package var namespace: String
    package var port: UInt16
    package var appProtocol: String
    /// Clients of the caller's namespace have rules of their own.
    package var isConsumerRoute: Bool
    package var rules: Int
  }

  package struct Rule: Encodable, Sendable {
    package var name: String
    /// `routes.yaml:12`; absent for what no route says.
    package var source: String?
    /// The first of its matches that holds, from 0; absent for a rule that takes everything.
    package var match: Int?
    package var matches: [String]
    package var filters: [String]
    package var timeouts: Timeouts
    package var retry: Retry?
    /// When a second attempt begins beside the first; absent: never.
    package var hedging: String?
    package var session: Session?
    /// Of TLS connections; empty: the rule does not look at them.
    package var serverNames: [String]
    /// Each a token bucket of the caller's proxy.
    package var rateLimits: [String]
    /// What becomes of its requests' content.
    package var requestBody: String?
    /// What its requests may say themselves.
    package var overrides: String?
    /// What FaultInjections do to such requests of the caller, on purpose.
    package var faults: [Fault] = []
    /// What TrafficPolicies contribute, with the source of each field.
    package var policy: [PolicyRow]
    /// What sets the weights of the backends; absent: the manifests.
    package var rollout: RolloutNote?
  }

  package struct Fault: Encodable, Sendable {
    /// `shop/slow-payments`.
    package var name: String
    /// Of such requests, while it is active.
    package var share: Double
    package var effects: [String]
    /// `active`, `not started`, `between windows`, `ended`.
    package var state: String
  }

  package struct Timeouts: Encodable, Sendable {
    /// Absent: none.
    package var requestMs: Int64?
    package var backendRequestMs: Int64?
    /// Without a byte in either direction. Absent: as long as the proxy has it for everyone; 0: for ever.
    package var idleMs: Int64?
    package var streamMs: Int64?
  }

  package struct Retry: Encodable, Sendable {
    package var attempts: UInt32
    package var statusCodes: [UInt16]
    /// What is repeated, as a policy would write it.
    package var conditions: String
    package var backoffMs: Int64
    /// An answer that asks for a longer wait is not repeated; 0: what it asks for does not count.
    package var maximumRetryAfterMs: Int64
  }

  package struct Session: Encodable, Sendable {
    /// What carries its token, and how long it lasts.
    package var carrier: String
    /// Where the request's own session is; absent for one without.
    package var endpoint: String?
    package var backend: String?
  }

  package struct RetryBudget: Encodable, Sendable {
    /// Repeats per hundred requests.
    package var percent: UInt64
    package var minimumPerSecond: UInt64
  }

  package struct PassedOver: Encodable, Sendable {
    package var rule: String
    /// Of each of its matches, the first condition that does not hold.
    package var reasons: [String]
  }

  package struct Reply: Encodable, Sendable {
    package var status: UInt16
    package var location: String?
    package var reason: String
  }

  package struct Backend: Encodable, Sendable {
    package var backend: String
    package var weight: UInt32
    package var share: Double
    package var filters: [String]
    /// The request line and Host that the backend sees, where filters change them.
    package var sees: String?
    package var failure: Failure?
    package var balancer: String?
    package var outliers: Bool?
    /// How the caller's proxy asks the endpoints whether they are well; absent: not at all.
    package var healthCheck: String?
    /// Of repeats of any rule's requests; absent where no repeat is asked for.
    package var retryBudget: RetryBudget?
    /// What TrafficPolicies say of the endpoints, with the source of each field; the rest has its defaults.
    package var policy: [PolicyRow] = []
    /// Whether its proxies let the caller in, and by which policy.
    package var authorization: [String] = []
    package var endpoints: [EndpointRow]
  }

  package struct Mirror: Encodable, Sendable {
    package var backend: String
    package var share: Double
    package var endpoints: Int
  }

  package struct Failure: Hashable, Encodable, Sendable {
    /// Of all such requests.
    package var share: Double
    /// 0: the stream or connection is reset.
    package var status: UInt16
    /// For a gRPC call.
    package var grpcStatus: UInt8?
    package var reason: String
    package var fix: String?
  }
}

/// One endpoint of a service port, as `apus why` and `apus endpoints` show it.
package struct EndpointRow: Hashable, Encodable, Sendable {
  package var address: String
  package var workload: String
  package var ready: Bool
  package var weight: UInt32
  /// As far as it is known.
  package var zone: String?
  package var labels: [String: String]
  /// Its value of the label by which a policy tells subsets apart.
  package var subset: String?
  /// Of its zone for the caller, from 0; absent where zones do not count.
  package var priority: Int?
  /// Its part of the requests by weights, zones and subset; absent where neither zones nor subsets count.
  package var share: Double?
  /// Whose certificate an endpoint outside the mesh must show; absent: it is meshed, or spoken to in plaintext.
  package var tls: String?
  /// Absent: not meshed.
  package var identity: String?
  /// What the asked proxy's balancers say, where one was asked: `ready`, `ejected`, `probation`.
  package var state: String?
}
