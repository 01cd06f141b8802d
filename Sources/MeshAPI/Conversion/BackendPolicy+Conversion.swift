import MeshCore
import MeshPolicy
import SwiftProtobuf

extension BackendPolicy {
  init(_ message: Apus_V1_BackendPolicy, limits: ConversionLimits) throws(ConversionError) {
    self.init()
    do throws(ConversionError) {
      if message.hasBalancing { balancing = try BalancingPolicy(message.balancing, limits: limits) }
    } catch {
      throw error.inside("balancing")
    }
    do throws(ConversionError) {
      if message.hasOutliers { outliers = try OutlierPolicy(message.outliers) }
    } catch {
      throw error.inside("outliers")
    }
    if message.hasRetryBudget {
      retryBudget = RetryBudget.Settings(
        percent: UInt64(try convertPercent(message.retryBudget.percent, "retry_budget.percent")),
        minimumPerSecond: UInt64(message.retryBudget.minimumPerSecond))
    }
    connectTimeout = try convertTimeSpan(message.connectTimeoutMs, "connect_timeout_ms")
    func limit(_ number: UInt32) -> UInt32? { number == 0 ? nil : number }
    self.limits = BackendLimits(
      connections: limit(message.limits.connections), pendingRequests: limit(message.limits.pendingRequests),
      activeRequests: limit(message.limits.activeRequests))
    do throws(ConversionError) {
      if message.hasHealthCheck { healthCheck = try HealthCheckPolicy(message.healthCheck, limits: limits) }
    } catch {
      throw error.inside("health_check")
    }
  }
}

extension BalancingPolicy {
  init(_ message: Apus_V1_Balancing, limits: ConversionLimits) throws(ConversionError) {
    guard let algorithm = Algorithm(message.algorithm) else {
      throw ConversionError(
        field: "algorithm", problem: "\(message.algorithm.rawValue) is none; is the controller newer than this proxy?")
    }
    self.init(
      algorithm: algorithm,
      hashSource: message.hasHashSource ? try HashSource(message.hashSource, limits: limits) : nil,
      slowStart: message.hasSlowStart ? try SlowStart(message.slowStart) : nil,
      panicPercent: try convertPercent(message.panicPercent, "panic_percent"),
      locality: message.hasLocality ? try LocalityPolicy(message.locality, limits: limits) : nil,
      subset: message.hasSubset ? try SubsetPolicy(message.subset, limits: limits) : nil)
  }
}

extension BalancingPolicy.Algorithm {
  init?(_ message: Apus_V1_BalancingAlgorithm) {
    switch message {
    case .peakEwma: self = .peakEWMA
    case .leastRequest: self = .leastRequest
    case .roundRobin: self = .roundRobin
    case .random: self = .random
    case .ringHash: self = .ringHash
    case .maglev: self = .maglev
    case .UNRECOGNIZED: return nil
    }
  }
}

extension HashSource {
  init(_ message: Apus_V1_HashSource, limits: ConversionLimits) throws(ConversionError) {
    switch message.kind {
    case .header(let name):
      do throws(ConversionError) { try checkHeaderName(name, limits: limits) } catch {
        throw error.inside("hash_source.header")
      }
      guard name == name.lowercased() else {
        throw ConversionError(field: "hash_source.header", problem: "\"\(name)\" is not in lower case")
      }
      self = .header(name)
    case .cookie(let cookie):
      do throws(ConversionError) {
        self = .cookie(try AffinityCookie(cookie, limits: limits))
      } catch {
        throw error.inside("hash_source.cookie")
      }
    case .query(let name):
      try limits.check(name, "hash_source.query")
      self = .query(name)
    case .sourceAddress: self = .sourceAddress
    case nil:
      throw ConversionError(field: "hash_source", problem: "none is set; is the controller newer than this proxy?")
    }
  }
}

extension AffinityCookie {
  /// RFC 6265, section 4.1.1: the name is a token, the path has neither controls nor semicolons. Either could otherwise write
  /// attributes or fields of its own.
  init(_ message: Apus_V1_AffinityCookie, limits: ConversionLimits) throws(ConversionError) {
    try checkHeaderName(message.name, limits: limits)
    try limits.check(message.path, "path", allowEmpty: true)
    guard message.path.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ";") }) else {
      throw ConversionError(field: "path", problem: "holds a semicolon, control characters or letters outside of ASCII")
    }
    self.init(
      name: message.name, lifetime: try convertTimeSpan(message.lifetimeMs, "lifetime_ms"), path: message.path)
  }
}

extension SlowStart {
  init(_ message: Apus_V1_SlowStart) throws(ConversionError) {
    guard let window = try convertTimeSpan(message.windowMs, "slow_start.window_ms") else {
      throw ConversionError(field: "slow_start.window_ms", problem: "0 is no window")
    }
    guard (0.01...100).contains(message.aggression) else {
      throw ConversionError(field: "slow_start.aggression", problem: "\(message.aggression) is not within 0.01 and 100")
    }
    let minimum = try convertPercent(message.minimumPercent, "slow_start.minimum_percent")
    self.init(window: window, aggression: message.aggression, minimumPercent: max(minimum, 1))
  }
}

extension OutlierPolicy {
  init(_ message: Apus_V1_Outliers) throws(ConversionError) {
    self.init()
    isEnabled = !message.disabled
    consecutiveFailures = message.consecutiveFailures
    consecutiveGatewayFailures = message.consecutiveGatewayFailures
    countsLocalFailuresApart = message.localFailuresApart
    consecutiveLocalFailures = message.consecutiveLocalFailures
    consecutiveConnectFailures = message.consecutiveConnectFailures
    interval = try convertSomeTime(message.intervalMs, "interval_ms")
    successRate = message.hasSuccessRate ? try SuccessRate(message.successRate) : nil
    latency = message.hasLatency ? try Latency(message.latency) : nil
    baseEjection = try convertSomeTime(message.baseEjectionMs, "base_ejection_ms")
    maximumEjection = try convertSomeTime(message.maximumEjectionMs, "maximum_ejection_ms")
    ejectionJitterPercent = try convertPercent(message.ejectionJitterPercent, "ejection_jitter_percent")
    maximumEjectedPercent = try convertPercent(message.maximumEjectedPercent, "maximum_ejected_percent")
  }
}

extension OutlierPolicy.SuccessRate {
  init(_ message: Apus_V1_SuccessRateOutliers) throws(ConversionError) {
    self.init()
    minimumHosts = message.minimumHosts
    minimumRequests = message.minimumRequests
    deviationsThousandths = message.deviationsThousandths
    minimumFailurePercent = try convertPercent(message.minimumFailurePercent, "success_rate.minimum_failure_percent")
  }
}

extension OutlierPolicy.Latency {
  init(_ message: Apus_V1_LatencyOutliers) throws(ConversionError) {
    self.init()
    minimumHosts = message.minimumHosts
    minimumRequests = message.minimumRequests
    guard message.factorPercent > 100 else {
      throw ConversionError(
        field: "latency.factor_percent", problem: "\(message.factorPercent): 100 and less would eject half of all")
    }
    factorPercent = message.factorPercent
    floor = try convertTimeSpan(message.floorMs, "latency.floor_ms") ?? .zero
  }
}

func convertPercent(_ number: UInt32, _ field: String) throws(ConversionError) -> UInt32 {
  guard number <= 100 else { throw ConversionError(field: field, problem: "\(number) is more than 100 percent") }
  return number
}

func convertSomeTime(_ milliseconds: Int64, _ field: String) throws(ConversionError) -> TimeSpan {
  guard let time = try convertTimeSpan(milliseconds, field) else {
    throw ConversionError(field: field, problem: "0 is no time")
  }
  return time
}
