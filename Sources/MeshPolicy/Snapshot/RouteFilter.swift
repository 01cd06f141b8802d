package import MeshCore

/// What a rule, or one backend of it, does to the requests and responses that pass (Gateway API, HTTPRouteFilter).
package enum RouteFilter: Hashable, Sendable {
  case headers(HeaderFilter)
  case redirect(RequestRedirect)
  case rewrite(URLRewrite)
  case mirror(RequestMirror)
  case cors(CORSPolicy)
}

extension [RouteFilter] {
  package var headerFilters: [HeaderFilter] {
    compactMap { if case .headers(let filter) = $0 { filter } else { nil } }
  }
}

/// A change to the fields of a request or response.
package struct HeaderFilter: Hashable, Sendable {
  package enum Direction: UInt8, Hashable, Sendable { case request, response }

  package var direction: Direction
  package var set: [HeaderPair]
  package var add: [HeaderPair]
  package var remove: [String]

  package init(direction: Direction, set: [HeaderPair] = [], add: [HeaderPair] = [], remove: [String] = []) {
    self.direction = direction
    self.set = set
    self.add = add
    self.remove = remove
  }
}

package struct HeaderPair: Hashable, Sendable {
  package var name: String
  package var value: String

  package init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// What becomes of the path; the query stays as it is.
package enum PathModifier: Hashable, Sendable {
  /// The whole path.
  case full(String)
  /// The elements that `matched`, the only and prefix match of the rule, stands for.
  case prefix(matched: String, replacement: String)
}

/// Answers with a redirection instead of asking a backend. What is nil stays as the request has it.
package struct RequestRedirect: Hashable, Sendable {
  /// `http` or `https`.
  package var scheme: String?
  package var hostname: String?
  package var path: PathModifier?
  /// Nil: the port that `scheme` is known for, else the port of the service. Left out of the location where the scheme implies it.
  package var port: UInt16?
  /// 301, 302, 303, 307 or 308.
  package var status: UInt16

  package init(
    scheme: String? = nil, hostname: String? = nil, path: PathModifier? = nil, port: UInt16? = nil, status: UInt16 = 302
  ) {
    self.scheme = scheme
    self.hostname = hostname
    self.path = path
    self.port = port
    self.status = status
  }
}

package struct URLRewrite: Hashable, Sendable {
  /// The authority that the backend sees.
  package var hostname: String?
  package var path: PathModifier?

  package init(hostname: String? = nil, path: PathModifier? = nil) {
    self.hostname = hostname
    self.path = path
  }
}

/// Sends copies of some requests to one endpoint of `backend` and drops the answers.
package struct RequestMirror: Hashable, Sendable {
  package var backend: ServicePort
  /// The share of requests, `numerator` of `denominator`; the latter is positive and not smaller.
  package var numerator: UInt32
  package var denominator: UInt32

  package init(backend: ServicePort, numerator: UInt32 = 100, denominator: UInt32 = 100) {
    self.backend = backend
    self.numerator = numerator
    self.denominator = denominator
  }
}

/// Answers preflight requests and marks responses for the origins that may read them (Fetch standard; GEP-1767).
package struct CORSPolicy: Hashable, Sendable {
  /// `*`, or `scheme://host[:port]` where a `*` in the host stands for any labels to its left.
  package var allowOrigins: [String]
  package var allowCredentials: Bool
  package var allowMethods: [String]
  package var allowHeaders: [String]
  package var exposeHeaders: [String]
  /// Seconds for which the answer to a preflight may be kept.
  package var maxAge: UInt32

  package init(
    allowOrigins: [String] = [], allowCredentials: Bool = false, allowMethods: [String] = [],
    allowHeaders: [String] = [], exposeHeaders: [String] = [], maxAge: UInt32 = 5
  ) {
    self.allowOrigins = allowOrigins
    self.allowCredentials = allowCredentials
    self.allowMethods = allowMethods
    self.allowHeaders = allowHeaders
    self.exposeHeaders = exposeHeaders
    self.maxAge = maxAge
  }
}
