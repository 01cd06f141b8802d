import MeshCore
import MeshPolicy

extension CompiledMesh {
  func contentHashes() -> [CompiledKey: ContentHash] {
    var hashes: [CompiledKey: ContentHash] = [:]
    hashes.reserveCapacity(services.count + consumers.count + endpoints.count + workloads.count)
    for (key, config) in services { hashes[.service(key)] = ContentHash(of: config) }
    for (key, config) in consumers { hashes[.consumer(key)] = ContentHash(of: config) }
    for (key, set) in endpoints { hashes[.endpoints(key)] = ContentHash(of: set) }
    for (namespace, table) in hosts { hashes[.hosts(namespace)] = ContentHash { $0.add(table) } }
    for (name, workload) in workloads { hashes[.workload(name)] = ContentHash { $0.add(workload) } }
    return hashes
  }
}

extension ContentHash {
  init(of config: ServiceConfig) { self.init { $0.add(config) } }
  init(of config: WorkloadConfig) { self.init { $0.add(config) } }
  init(of set: EndpointSet) { self.init { $0.add(set) } }

  init(_ encode: (inout ContentHasher) -> Void) {
    var hasher = ContentHasher()
    encode(&hasher)
    self = hasher.finish()
  }
}

extension ContentHasher {
  mutating func add(_ key: ServicePort) {
    add(key.service.namespace)
    add(key.service.name)
    add(key.port)
  }

  mutating func add<Element>(_ list: [Element], _ each: (inout ContentHasher, Element) -> Void) {
    add(list.count)
    for element in list { each(&self, element) }
  }

  mutating func add<Value>(_ optional: Value?, _ some: (inout ContentHasher, Value) -> Void) {
    add(optional == nil ? 0 : 1)
    if let optional { some(&self, optional) }
  }

  mutating func add(_ config: ServiceConfig) {
    add("service")
    add(config.key)
    add(config.appProtocol.rawValue)
    add(config.rules) { hasher, rule in
      hasher.add(rule.name)
      hasher.add(rule.matches) { $0.add($1) }
      hasher.add(rule.serverNames) { $0.add($1) }
      hasher.add(rule.filters) { $0.add($1) }
      hasher.add(rule.backends) { hasher, backend in
        hasher.add(backend.backend)
        hasher.add(backend.weight)
        hasher.add(backend.filters) { $0.add($1) }
        hasher.add(backend.failureStatus) { $0.add($1) }
      }
      hasher.add(rule.timeouts.request) { $0.add($1.nanoseconds) }
      for limit in [rule.timeouts.backendRequest, rule.timeouts.idle, rule.timeouts.stream] {
        hasher.add(limit) { $0.add($1.nanoseconds) }
      }
      hasher.add(rule.retry) { hasher, retry in
        hasher.add(retry.attempts)
        hasher.add(retry.statusCodes) { $0.add($1) }
        hasher.add(retry.backoff.nanoseconds)
        hasher.add(retry.grpcStatuses.rawValue)
        hasher.add(retry.failures.rawValue)
        hasher.add(retry.maximumRetryAfter.nanoseconds)
      }
      hasher.add(rule.hedging) { hasher, hedging in
        switch hedging.delay {
        case .fixed(let delay):
          hasher.add(0)
          hasher.add(delay.nanoseconds)
        case .quantile(let share):
          hasher.add(1)
          hasher.add(share)
        }
        hasher.add(hedging.allMethods ? 1 : 0)
      }
      hasher.add(rule.session) { $0.add($1) }
      hasher.add(rule.rateLimits) { $0.add($1) }
      hasher.add(rule.globalRateLimit) { $0.add($1) }
      hasher.add(rule.requestBody) { $0.add($1) }
      hasher.add(rule.overrides) { hasher, policy in
        hasher.add(policy.kinds.rawValue)
        hasher.add(policy.callers) { $0.add($1) }
      }
      hasher.add(rule.faults) { $0.add($1) }
      hasher.add(rule.failureStatus) { $0.add($1) }
    }
  }

  private mutating func add(_ session: SessionPolicy) {
    switch session.carrier {
    case .cookie(let cookie):
      add(0)
      add(cookie.name)
      add(cookie.path)
      add(cookie.isPermanent ? 1 : 0)
    case .header(let name):
      add(1)
      add(name)
    }
    for time in [session.absoluteTimeout, session.idleTimeout] { add(time) { $0.add($1.nanoseconds) } }
    add(session.key.first)
    add(session.key.second)
  }

  private mutating func add(_ fault: FaultPolicy) {
    add(fault.name)
    add(fault.match) { $0.add($1) }
    add(fault.clients) { $0.add($1) }
    add(fault.millionths)
    add(fault.delay?.points ?? []) { hasher, point in
      hasher.add(point.quantile)
      hasher.add(point.delay.nanoseconds)
    }
    add(fault.abort) { hasher, abort in
      hasher.add(abort.status) { $0.add($1) }
      hasher.add(abort.grpcCode)
    }
    add(fault.isReset ? 1 : 0)
    for number in [fault.requestRate, fault.responseRate, fault.truncateAfter] { add(number) { $0.add($1) } }
    add(fault.corruptMillionths) { $0.add($1) }
    for number in [fault.schedule.start, fault.schedule.end] { add(number) { $0.add($1) } }
    add(fault.schedule.windows) { hasher, windows in
      hasher.add(windows.period)
      hasher.add(windows.length)
    }
  }

  private mutating func add(_ match: RouteMatch) {
    switch match.path {
    case nil: add(0)
    case .exact(let path):
      add(1)
      add(path)
    case .prefix(let path):
      add(2)
      add(path)
    case .regularExpression(let pattern):
      add(3)
      add(pattern)
    }
    add(match.method) { $0.add($1) }
    add(match.headers) { hasher, header in
      hasher.add(header.name)
      hasher.add(header.value)
    }
    add(match.queryParameters) { hasher, query in
      hasher.add(query.name)
      hasher.add(query.value)
    }
  }

  private mutating func add(_ value: ValueMatch) {
    switch value {
    case .exact(let text):
      add(0)
      add(text)
    case .regularExpression(let pattern):
      add(1)
      add(pattern)
    }
  }

  private mutating func add(_ filter: RouteFilter) {
    switch filter {
    case .headers(let filter):
      add(0)
      add(filter)
    case .redirect(let filter):
      add(1)
      add(filter.scheme) { $0.add($1) }
      add(filter.hostname) { $0.add($1) }
      add(filter.path) { $0.add($1) }
      add(filter.port) { $0.add($1) }
      add(filter.status)
    case .rewrite(let filter):
      add(2)
      add(filter.hostname) { $0.add($1) }
      add(filter.path) { $0.add($1) }
    case .mirror(let filter):
      add(3)
      add(filter.backend)
      add(filter.numerator)
      add(filter.denominator)
    case .cors(let filter):
      add(4)
      for list in [filter.allowOrigins, filter.allowMethods, filter.allowHeaders, filter.exposeHeaders] {
        add(list) { $0.add($1) }
      }
      add(filter.allowCredentials ? 1 : 0)
      add(filter.maxAge)
    }
  }

  private mutating func add(_ modifier: PathModifier) {
    switch modifier {
    case .full(let path):
      add(0)
      add(path)
    case .prefix(let matched, let replacement):
      add(1)
      add(matched)
      add(replacement)
    }
  }

  private mutating func add(_ filter: HeaderFilter) {
    add(filter.direction.rawValue)
    for pairs in [filter.set, filter.add] {
      add(pairs) { hasher, pair in
        hasher.add(pair.name)
        hasher.add(pair.value)
      }
    }
    add(filter.remove) { $0.add($1) }
  }

  mutating func add(_ set: EndpointSet) {
    add("endpoints")
    add(set.key)
    add(set.appProtocol.rawValue)
    add(set.policy)
    add(set.endpoints) { hasher, endpoint in
      hasher.add(endpoint.address.high)
      hasher.add(endpoint.address.low)
      hasher.add(endpoint.address.port)
      hasher.add(endpoint.workload)
      hasher.add(endpoint.identity) { $0.add($1.description) }
      hasher.add(endpoint.meshPort)
      hasher.add(endpoint.weight)
      hasher.add(endpoint.locality)
      hasher.add(endpoint.healthCheck) { $0.add($1) }
      hasher.add(endpoint.labels.sorted { $0.key < $1.key }) { hasher, label in
        hasher.add(label.key)
        hasher.add(label.value)
      }
    }
    if let origination = set.tls { add(origination) }
    if let names = set.names { add(names) }
  }

  private mutating func add(_ locality: Locality) {
    add(locality.region)
    add(locality.zone)
  }

  mutating func add(_ workload: WorkloadConfig) {
    add("workload")
    add(workload.name)
    add(workload.namespace)
    add(workload.identity.description)
    add(workload.locality)
    add(workload.ports) { hasher, port in
      hasher.add(port.port)
      hasher.add(port.appProtocol.rawValue)
      hasher.add(port.service) { $0.add($1) }
      hasher.add(port.rateLimits) { $0.add($1) }
      hasher.add(port.longestIdle) { $0.add($1.nanoseconds) }
      hasher.add(port.globalRateLimit) { $0.add($1) }
      hasher.add(port.requestBody) { $0.add($1) }
      hasher.add(port.adaptiveConcurrency) { hasher, settings in
        for number in [settings.minimum, settings.maximum, settings.tolerancePercent] { hasher.add(number) }
        for time in [settings.interval, settings.probeInterval] { hasher.add(time.nanoseconds) }
      }
      hasher.add(port.compression) { hasher, policy in
        hasher.add(policy.contentTypes) { $0.add($1) }
        hasher.add(policy.minimumBytes)
        hasher.add(policy.level)
      }
      if let tokens = port.tokens { hasher.add(tokens) }
      hasher.add(port.authorization) { $0.add($1) }
      hasher.add(port.meshTLS.rawValue)
    }
    add(workload.egress)
  }

  private mutating func add(_ limit: GlobalRateLimit) {
    add(limit.service)
    add(limit.domain)
    add(limit.descriptors) { $0.add($1) { $0.add($1) } }
    add(limit.hits)
    add(limit.timeout.nanoseconds)
    switch limit.failure {
    case .allow: add(0)
    case .deny: add(1)
    case .local(let own):
      add(2)
      add(own)
    }
  }

  private mutating func add(_ entry: GlobalRateLimit.Entry) {
    add(entry.key)
    switch entry.value {
    case .constant(let text):
      add(0)
      add(text)
    case .header(let name):
      add(1)
      add(name)
    case .caller: add(2)
    case .remoteAddress: add(3)
    case .service: add(4)
    case .route: add(5)
    case .method: add(6)
    case .path: add(7)
    }
  }

  private mutating func add(_ body: RequestBodyPolicy) {
    add(body.maximumBytes) { $0.add($1) }
    add(body.bufferBytes) { $0.add($1) }
  }

  private mutating func add(_ limit: RateLimit) {
    switch limit.key {
    case .all: add(0)
    case .caller: add(1)
    case .header(let name):
      add(2)
      add(name)
    }
    add(limit.requests)
    add(limit.period.nanoseconds)
    add(limit.burst)
  }
}
