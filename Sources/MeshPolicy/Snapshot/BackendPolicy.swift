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
  /// Nil: nobody asks endpoints how they are.
  package var healthCheck: HealthCheckPolicy?

  package init(
    balancing: BalancingPolicy = BalancingPolicy(), outliers: OutlierPolicy = OutlierPolicy(),
    limits: BackendLimits = BackendLimits(), retryBudget: RetryBudget.Settings = RetryBudget.Settings(),
    healthCheck: HealthCheckPolicy? = nil
  ) {
    self.balancing = balancing
    self.outliers = outliers
    self.limits = limits
    self.healthCheck = healthCheck
    self.retryBudget = retryBudget
  }
}
