/// Everything that the control plane and `apus analyze` can find in a configuration, each under a code that never changes its
/// meaning. Codes are not used again.
package enum FindingCode: String, Hashable, CaseIterable, Sendable {
  // Manifests
  case manifestError = "APUS0001"
  case manifestWarning = "APUS0002"
  case unclassified = "APUS0003"

  // Routes: whose requests
  case parentNotFound = "APUS0101"
  case parentPortNotFound = "APUS0102"
  case parentCarriesTCP = "APUS0103"
  case routeConflicted = "APUS0104"
  case routeDetached = "APUS0105"
  case consumerRoute = "APUS0106"
  case parentIsAlias = "APUS0110"
  case parentIsHeadless = "APUS0111"
  case olderRoute = "APUS0112"
  case tooManyMatches = "APUS0113"

  // Routes: where to
  case backendNotFound = "APUS0201"
  case backendPortNotFound = "APUS0202"
  case backendKind = "APUS0203"
  case backendCarriesTCP = "APUS0204"
  case backendCarriesNoGRPC = "APUS0205"
  case noBackend = "APUS0206"
  case weightsAreZero = "APUS0207"
  case referenceNotGranted = "APUS0208"
  case backendIsAlias = "APUS0210"

  // Rules
  case shadowedRule = "APUS0301"
  case shadowedByRoute = "APUS0302"
  case attemptOutlastsRequest = "APUS0303"
  case retriesDoNotFit = "APUS0304"
  case retriesAreOff = "APUS0305"
  case hedgeNeverBegins = "APUS0306"
  case waitOutlastsRequest = "APUS0307"
  case limitNeverReached = "APUS0308"

  // Services and workloads
  case noEndpoint = "APUS0401"
  case targetPortNotFound = "APUS0402"
  case selectorMisses = "APUS0403"
  case sliceWithoutService = "APUS0404"
  case accountNotDeclared = "APUS0405"
  case noReadyEndpoint = "APUS0406"
  case aliasUnresolved = "APUS0410"
  case subsetUnreachable = "APUS0420"
  case zonesUnknown = "APUS0421"
  case workloadUnused = "APUS0422"

  // Traffic splits
  case splitWithoutService = "APUS0501"
  case splitBackendNotFound = "APUS0502"
  case splitPortNotFound = "APUS0503"
  case splitRival = "APUS0504"
  case splitBehindRoute = "APUS0505"
  case splitWeightsAreZero = "APUS0506"
  case splitMatchNotFound = "APUS0510"
  case splitMatchesTCP = "APUS0511"
  case smiWithoutEffect = "APUS0512"
  case targetRuleNotFound = "APUS0520"
  case targetIdentityNotFound = "APUS0521"
  case bindingIsNarrower = "APUS0522"

  // Policies and faults
  case policyTargetNotFound = "APUS0601"
  case policyConflict = "APUS0602"
  case policyFieldUnused = "APUS0603"
  case policyWithoutProxy = "APUS0604"
  case faultWithoutEffect = "APUS0605"
  case authorizationOfBytes = "APUS0606"
  case authorizationClosed = "APUS0607"
  case authorizerNotFound = "APUS0610"

  // Mesh TLS and egress
  case meshTLSWithoutWorkload = "APUS0711"
  case meshTLSConflict = "APUS0712"
  case meshTLSDisabled = "APUS0713"

  // Rollouts
  case rolloutVersionNotFound = "APUS0901"
  case rolloutPortNotFound = "APUS0902"
  case rolloutWithoutRule = "APUS0903"

  package enum Severity: String, Hashable, Comparable, Sendable, CaseIterable {
    case error, warning, info

    package static func < (a: Severity, b: Severity) -> Bool { a.order < b.order }
    private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// What a person reads who asks for the code.
  package struct Reference: Sendable {
    package var title: String
    package var severity: Severity
    /// What it is and what follows from it.
    package var explanation: String
    package var fix: String

    init(_ severity: Severity, _ title: String, _ explanation: String, fix: String) {
      self.title = title
      self.severity = severity
      self.explanation = explanation
      self.fix = fix
    }
  }

  /// Something that is missed may stand in another file, or come with `apus run`: without a mesh it is a warning at most.
  package var isAbsence: Bool {
    switch self {
    case .parentNotFound, .routeDetached, .backendNotFound, .splitWithoutService, .splitBackendNotFound, .noEndpoint,
      .splitMatchNotFound, .policyTargetNotFound, .targetRuleNotFound, .targetIdentityNotFound, .authorizerNotFound,
      .meshTLSWithoutWorkload, .rolloutVersionNotFound:
      true
    default: false
    }
  }
}
