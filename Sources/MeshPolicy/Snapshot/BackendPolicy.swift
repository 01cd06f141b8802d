/// How proxies treat the endpoints of one backend.
///
/// The *effective* policy: the control plane has merged whatever applies to the service port, a proxy merges nothing. The
/// defaults are what a backend has that nobody wrote a policy for.
package struct BackendPolicy: Hashable, Sendable {
  package var balancing: BalancingPolicy
  package var outliers: OutlierPolicy
  package var limits: BackendLimits

  package init(
    balancing: BalancingPolicy = BalancingPolicy(), outliers: OutlierPolicy = OutlierPolicy(),
    limits: BackendLimits = BackendLimits()
  ) {
    self.balancing = balancing
    self.outliers = outliers
    self.limits = limits
  }
}
