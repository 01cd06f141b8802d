package import MeshCore

/// How proxies treat the endpoints of one backend.
///
/// The *effective* policy: the control plane has merged whatever applies to the service port, a proxy merges nothing. The
/// defaults are what a backend has that nobody wrote a policy for.
package struct BackendPolicy: Hashable, Sendable {
  package var balancing: BalancingPolicy
  package var outliers: OutlierPolicy
  package var limits: BackendLimits
  /// How many repeats the backend takes, of the requests of whatever rules.
  package var retryBudget: RetryBudget.Settings
  /// Of TCP connect and TLS handshake together. Nil: as long as the proxy has it for everyone.
  package var connectTimeout: TimeSpan?
  /// Nil: nobody asks endpoints how they are.
  package var healthCheck: HealthCheckPolicy?

  package init(
    balancing: BalancingPolicy = BalancingPolicy(), outliers: OutlierPolicy = OutlierPolicy(),
    limits: BackendLimits = BackendLimits(), retryBudget: RetryBudget.Settings = RetryBudget.Settings(),
    connectTimeout: TimeSpan? = nil, healthCheck: HealthCheckPolicy? = nil
  ) {
    self.balancing = balancing
    self.outliers = outliers
    self.limits = limits
    self.connectTimeout = connectTimeout
    self.healthCheck = healthCheck
    self.retryBudget = retryBudget
  }
}
