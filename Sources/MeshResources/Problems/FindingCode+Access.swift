// Findings about who may call: references of TrafficTargets and of policies with the action custom that lead nowhere. They fail closed, so
// each text says who is refused meanwhile.
extension FindingCode {
  var ofAccess: Reference {
    switch self {
    case .targetRuleNotFound:
      Reference(
        .error, "A rule of a TrafficTarget does not exist",
        "What is not there admits nothing: calls that it was meant for are refused.",
        fix: "Correct spec.rules[], or create the HTTPRouteGroup, its match, or the TCPRoute.")
    case .targetIdentityNotFound:
      Reference(
        .error, "A TrafficTarget names an IdentityBinding that does not exist",
        "As a source it admits nobody; as a destination it protects nothing.",
        fix: "Correct the name, or create the IdentityBinding.")
    case .bindingIsNarrower:
      Reference(
        .warning, "An IdentityBinding selects some of the workloads of an account",
        "Callers prove their service account, not their labels. The account's other workloads would be admitted with the selected ones, so none is.",
        fix: "Give the selected workloads a service account of their own, or name the account.")
    default:
      Reference(
        .error, "The provider of a policy with the action custom does not exist",
        "There is no ExternalAuthorizer of that name in the policy's namespace or in apus-system, or the mesh has no such service and port. "
          + "Without the object what the policy matches is refused; without the service onFailure decides.",
        fix: "Correct spec.provider or spec.service, or create what it names.")
    }
  }
}
