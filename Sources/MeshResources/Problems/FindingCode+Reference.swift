extension FindingCode {
  package var reference: Reference {
    switch self {
    case .manifestError, .manifestWarning, .unclassified: ofManifests
    case .parentNotFound, .parentPortNotFound, .parentCarriesTCP, .routeConflicted, .routeDetached, .consumerRoute:
      ofParents
    case .parentIsAlias, .parentIsHeadless, .olderRoute, .tooManyMatches: ofRivals
    case .backendNotFound, .backendPortNotFound, .backendKind, .backendCarriesTCP, .backendCarriesNoGRPC, .noBackend,
      .weightsAreZero, .referenceNotGranted, .backendIsAlias:
      ofBackends
    case .shadowedRule, .shadowedByRoute, .attemptOutlastsRequest, .retriesDoNotFit, .retriesAreOff: ofRules
    case .hedgeNeverBegins, .waitOutlastsRequest, .limitNeverReached: ofTimes
    case .noEndpoint, .noReadyEndpoint, .targetPortNotFound, .selectorMisses, .sliceWithoutService, .accountNotDeclared,
      .aliasUnresolved:
      ofServices
    case .subsetUnreachable, .zonesUnknown, .workloadUnused: ofEndpoints
    case .splitWithoutService, .splitBackendNotFound, .splitPortNotFound, .splitRival, .splitBehindRoute,
      .splitWeightsAreZero:
      ofSplits
    case .splitMatchNotFound, .splitMatchesTCP, .smiWithoutEffect: ofSMI
    case .targetRuleNotFound, .targetIdentityNotFound, .bindingIsNarrower, .authorizerNotFound: ofAccess
    case .policyTargetNotFound, .policyConflict, .policyFieldUnused, .policyWithoutProxy, .faultWithoutEffect,
      .authorizationOfBytes, .authorizationClosed:
      ofPolicies
    case .meshTLSWithoutWorkload, .meshTLSConflict, .meshTLSDisabled: ofMeshTLS
    case .rolloutVersionNotFound, .rolloutPortNotFound, .rolloutWithoutRule: ofRollouts
    }
  }

  private var ofManifests: Reference {
    switch self {
    case .manifestError:
      Reference(
        .error, "A manifest has an error",
        "The document is refused whole; an earlier version of the object, where there was one, stays in force.",
        fix: "Correct the field that the finding names.")
    case .manifestWarning:
      Reference(
        .warning, "A field of a manifest does not do what its author may think",
        "The object is in force. The field has no meaning in this mesh, or another one.",
        fix: "Remove the field, or write what the finding proposes.")
    default:
      Reference(
        .warning, "The control plane warns of an object",
        "A warning that has no code of its own; its text says everything.", fix: "As the text says.")
    }
  }

  private var ofParents: Reference {
    switch self {
    case .parentNotFound:
      Reference(
        .error, "The parent of a route does not exist",
        "The route names a Service that is not there, so its rules apply to nobody's requests.",
        fix: "Correct parentRefs[].name or namespace, or create the Service.")
    case .parentPortNotFound:
      Reference(
        .error, "The parent of a route has no such port",
        "The Service exists, and none of its ports has the number or name that port and sectionName ask for.",
        fix: "Name one of the Service's ports, or leave out port and sectionName for all of them.")
    case .parentCarriesTCP:
      Reference(
        .warning, "The parent's port carries TCP",
        "Rules about requests need requests; a port with appProtocol tcp carries bytes.",
        fix: "Write appProtocol: http, http2 or grpc on the Service's port.")
    case .routeConflicted:
      Reference(
        .error, "Another kind of route has the port",
        "Only one kind of route applies to a service port, GRPCRoute before HTTPRoute (GEP-1294).",
        fix: "Remove one of the two routes, or give them different ports.")
    case .routeDetached:
      Reference(
        .error, "A route is attached to nothing",
        "None of its parents takes it, so none of its rules is in force anywhere.",
        fix: "Mend one of its parents; the findings about them say how.")
    default:
      Reference(
        .info, "Clients of one namespace have rules of their own",
        "A route whose parent is in another namespace is a consumer route: for clients in the route's namespace it stands "
          + "in the place of all the Service's own routes (GEP-1294).",
        fix: "Nothing, if that is meant. Else move the route to the Service's namespace.")
    }
  }

  private var ofRivals: Reference {
    switch self {
    case .parentIsAlias:
      Reference(
        .error, "The parent of a route is a name of another Service",
        "A Service of type ExternalName is another name for a Service, and gets the rules of that one.",
        fix: "Name the Service that it stands for.")
    case .parentIsHeadless:
      Reference(
        .error, "The parent of a route is headless",
        "Clients of a Service with clusterIP: None go to its endpoints by address, past every route.",
        fix: "Name a Service with a cluster address, whose backend the headless one may be.")
    case .olderRoute:
      Reference(
        .warning, "An older route takes the connections of another",
        "Connections cannot be matched, but for their server names: of two routes for the same the older one has them.",
        fix: "Remove one of the two, or join their backendRefs.")
    default:
      Reference(
        .error, "A service port has too many matches",
        "Proxies refuse more than 10,000 rules of a service, so the youngest routes past that are left out whole.",
        fix: "Write fewer matches, or remove routes.")
    }
  }

  private var ofSMI: Reference {
    switch self {
    case .splitMatchNotFound:
      Reference(
        .error, "A TrafficSplit names an HTTPRouteGroup that does not exist",
        "No request matches what is not there: it goes to the root as if there were no split.",
        fix: "Correct spec.matches[].name, or create the HTTPRouteGroup.")
    case .splitMatchesTCP:
      Reference(
        .warning, "A TrafficSplit with matches has a root whose port carries TCP",
        "Connections have nothing to match, so that port is not split.",
        fix: "Write appProtocol: http on the Service's port, or remove matches.")
    default:
      Reference(
        .info, "An object of SMI has no effect",
        "It only means something to others that name it, or to what the mesh does not carry (UDP).",
        fix: "Name it where it is meant to be used, or remove it.")
    }
  }

  private var ofPolicies: Reference {
    switch self {
    case .policyTargetNotFound:
      Reference(
        .error, "The target of a policy does not exist",
        "The policy applies to nothing by that target; its other targets are not touched.",
        fix: "Correct spec.targetRefs, or create the target.")
    case .policyConflict:
      Reference(
        .error, "Two policies say the same field of the same target",
        "The older one counts, then the first by name; that field of the other is not in force there.",
        fix: "Keep each field in one policy.")
    case .policyFieldUnused:
      Reference(
        .warning, "A field of a policy has no effect",
        "It belongs to a balancer, or needs another field, that none of the services it applies to has.",
        fix: "As the finding says: remove it, or write what it needs.")
    case .policyWithoutProxy:
      Reference(
        .warning, "A limit of a service has nobody to keep it",
        "Limits of a Service are kept by the proxies beside its workloads, and an endpoint is outside the mesh.",
        fix: "Write the limit in a policy whose target is a route: the callers' proxies keep it.")
    case .authorizationOfBytes:
      Reference(
        .warning, "A rule of an AuthorizationPolicy asks for what byte streams do not have",
        "Of a TCP port nothing is known but callers and ports. There a rule that also asks for methods, hosts, paths, fields or claims never allows or audits, and always denies.",
        fix: "Ask for callers and ports only, or write appProtocol on the Service's port.")
    case .authorizationClosed:
      Reference(
        .error, "An AuthorizationPolicy with a mistake closes what it is for",
        "The policy cannot be used as written, and there is no version before that could stay in force. Nobody knows whom it was to let in, so every call to its targets is refused with the reason broken_policy. A target that cannot be read stands for the namespace. Policies that only audit close nothing.",
        fix: "Correct the errors of the policy, or remove it. `apus validate` tells them before it is applied.")
    default:
      Reference(
        .warning, "A FaultInjection meets no request",
        "Faults are for requests that go to a backend: not for TCP, and not for what a redirect answers.",
        fix: "Remove the target, or write appProtocol on the Service's port.")
    }
  }

  private var ofBackends: Reference {
    switch self {
    case .backendIsAlias:
      Reference(
        .error, "A backend is a name of another Service",
        "A Service of type ExternalName is no backend (CVE-2021-25740); the share is answered 500.",
        fix: "Name the Service that it stands for.")
    case .backendNotFound:
      Reference(
        .error, "A backend does not exist",
        "The share of requests of a backend that names no Service is answered 500 (gRPC: UNAVAILABLE). A mirror is left out.",
        fix:
          "Correct the name or namespace, create the Service, or remove the backend; a weight of 0 takes it out, too.")
    case .backendPortNotFound:
      Reference(
        .error, "A backend has no such port",
        "The Service exists and has no port of that number; the share is answered 500.", fix: "Name one of its ports.")
    case .backendKind:
      Reference(
        .error, "A backend is of a kind that cannot serve", "The share is answered 500; only Services serve.",
        fix: "Write kind: Service, or leave it out.")
    case .backendCarriesTCP:
      Reference(
        .error, "A backend's port carries TCP",
        "A request cannot be sent to a port that is declared to carry bytes; the share is answered 500.",
        fix: "Write appProtocol: http, http2 or grpc on the Service's port.")
    case .backendCarriesNoGRPC:
      Reference(
        .warning, "A gRPC backend speaks HTTP/1",
        "gRPC needs HTTP/2 as far as the program. Endpoints in the mesh may manage; those outside are spoken to in HTTP/1.",
        fix: "Write appProtocol: grpc on the Service's port.")
    case .noBackend:
      Reference(
        .error, "A rule has no backend", "Every request that takes the rule is answered 500.",
        fix: "Add backendRefs, or a RequestRedirect.")
    case .weightsAreZero:
      Reference(
        .error, "All weights of a rule are 0",
        "A weight of 0 gets no request; where all are 0 every request is answered 500.",
        fix: "Give one backend a weight.")
    default:
      Reference(
        .info, "A reference to another namespace without ReferenceGrant",
        "Here it works: a mesh exposes nothing that its clients could not reach by themselves (GEP-1294). Gateways that "
          + "read the same route refuse it.",
        fix: "If the route is meant for gateways, too, add a ReferenceGrant in the backend's namespace.")
    }
  }

  private var ofRules: Reference {
    switch self {
    case .shadowedRule:
      Reference(
        .warning, "A rule never matches: another of its route goes before it",
        "Each of its matches is covered by one that is tried earlier: exact paths come before regular expressions, then "
          + "prefixes, the longest first, then methods, headers and query parameters; then the order in the file.",
        fix: "Make its match more specific, or remove the rule.")
    case .shadowedByRoute:
      Reference(
        .warning, "A rule never matches: a rule of another route goes before it",
        "Several routes share a parent. Of equal matches that of the older route counts, then of the first by name.",
        fix: "Make its match more specific, or remove one of the two rules.")
    case .attemptOutlastsRequest:
      Reference(
        .warning, "An attempt may take longer than the request",
        "timeouts.backendRequest is not below timeouts.request, so the request ends before a slow attempt does and is "
          + "never repeated.",
        fix: "Make backendRequest a part of request: with N retries, at most a part in N + 1.")
    case .retriesDoNotFit:
      Reference(
        .warning, "The repeats of a rule do not fit into its time",
        "Every attempt at its full time, with the shortest waits between, takes longer than timeouts.request allows: the "
          + "last ones never happen when a backend is slow.",
        fix: "Lower retry.attempts, retry.backoff or backendRequest, or raise request.")
    default:
      Reference(
        .info, "A rule names what to retry and retries nothing", "retry.attempts is 0, so its codes mean nothing.",
        fix: "Raise attempts, or remove retry.")
    }
  }

  private var ofServices: Reference {
    switch self {
    case .aliasUnresolved:
      Reference(
        .warning, "A Service of type ExternalName leads to nothing in the mesh",
        "Requests for the name are answered 404: what it names is outside, does not exist, or leads in a circle.",
        fix: "Name a Service of the mesh, or write an ExternalService for a host outside.")
    case .noEndpoint:
      Reference(
        .error, "A Service that gets requests has no endpoint",
        "A rule sends requests there and no workload stands behind it: they are answered 503.",
        fix: "Start a workload (apus run --service NAME), correct the selector, or add an EndpointSlice.")
    case .noReadyEndpoint:
      Reference(
        .error, "No endpoint of a Service is ready",
        "Workloads run for it and none is ready: its requests are answered 503.",
        fix: "See why they are not: apus status, apus endpoints, and the workloads' logs.")
    case .targetPortNotFound:
      Reference(
        .warning, "A workload does not have the port that a Service leads to",
        "The selector takes the workload, its ports do not include targetPort: it is no endpoint of that port.",
        fix: "Run the workload with that --port, or change targetPort.")
    case .selectorMisses:
      Reference(
        .warning, "A Service does not select the workload that runs for it",
        "apus run --service names the Service, and its selector asks for labels that the workload does not have.",
        fix: "Write selector: {app: NAME}, or give the workload the labels with --label.")
    case .sliceWithoutService:
      Reference(
        .warning, "An EndpointSlice belongs to no Service", "The Service that its label names does not exist.",
        fix: "Correct the label kubernetes.io/service-name, or create the Service.")
    default:
      Reference(
        .warning, "A workload runs as an account that no manifest declares",
        "Its namespace declares ServiceAccounts, and not this one: the name is likely misspelt.",
        fix: "Correct --service-account, or add the ServiceAccount.")
    }
  }

  private var ofEndpoints: Reference {
    switch self {
    case .subsetUnreachable:
      Reference(
        .warning, "No endpoint belongs to a subset",
        "A policy or a route sends requests to endpoints with a label's value that none of the service's endpoints has; "
          + "the policy's fallback decides what becomes of them. EndpointSlices carry no labels.",
        fix: "Give workloads the label (apus run --label KEY=VALUE, or labels of a Workload), or correct the value.")
    case .workloadUnused:
      Reference(
        .warning, "No Service selects a Workload", "Its labels match no selector, so it gets no requests.",
        fix: "Give it the labels that a Service's selector asks for.")
    default:
      Reference(
        .info, "Zones are to count, and no endpoint's zone is known",
        "A policy or trafficDistribution prefers the endpoints of the client's zone; of none of them it is known.",
        fix: "apus run --zone ZONE, zone of a Workload, or endpoints[].zone of an EndpointSlice.")
    }
  }

  private var ofSplits: Reference {
    switch self {
    case .splitWithoutService:
      Reference(
        .error, "The root of a TrafficSplit does not exist", "The split applies to nobody's requests.",
        fix: "Correct spec.service, or create the Service.")
    case .splitBackendNotFound:
      Reference(
        .warning, "A leaf of a TrafficSplit does not exist", "It gets no requests; the others share its part.",
        fix: "Create the Service, or remove the leaf.")
    case .splitPortNotFound:
      Reference(
        .warning, "A leaf of a TrafficSplit lacks a port of the root",
        "Requests to that port of the root go to the other leaves only.", fix: "Give the leaf the root's port numbers.")
    case .splitRival:
      Reference(
        .error, "Two TrafficSplits have one root",
        "The older one counts, then the first by name; the other does nothing.",
        fix: "Remove one of the two.")
    case .splitBehindRoute:
      Reference(
        .warning, "A route goes before a TrafficSplit",
        "The route decides on all the requests; the split does nothing there.",
        fix: "Put the weights into the route's backendRefs.")
    default:
      Reference(
        .error, "All weights of a TrafficSplit are 0", "Every request to its root is answered 503.",
        fix: "Give one leaf a weight.")
    }
  }
}

extension FindingCode {
  private var ofRollouts: Reference {
    switch self {
    case .rolloutVersionNotFound:
      Reference(
        .error, "A version of a rollout does not exist",
        "Without its canary a rollout waits, and every request goes to the stable version. Without its stable version the rules "
          + "stay as they are written.",
        fix: "Create the Service, or correct spec.rollout.")
    case .rolloutPortNotFound:
      Reference(
        .error, "A version of a rollout lacks a port",
        "Requests go to the same port number of both versions; the rollout cannot divide those to this port.",
        fix: "Give the version's Service the port numbers of the service that clients ask for.")
    default:
      Reference(
        .error, "A rollout divides no requests",
        "It divides what a rule sends to the service itself or to both versions; a rule that names one version stays as it is.",
        fix: "Name both versions in the backendRefs of one rule, or leave the rule out.")
    }
  }
}

// MARK: - Documentation

extension FindingCode {
  /// The page of all codes.
  package static var page: String {
    var text = """
      # What `apus analyze` finds

      Printed by `apus analyze --explain all`; a test compares. Each code keeps its meaning for ever. `error`: requests fail, or an
      object is not in force. `warning`: in force, but likely not as meant. `info`: worth knowing. Without a controller
      (`apus analyze FILE`, `apus validate`) what is missing may come later, so those errors are warnings there; they are marked *.


      """
    for code in allCases {
      let reference = code.reference
      text += "## \(code.rawValue): \(reference.title)\n\n"
      text += "\(reference.severity.rawValue)\(code.isAbsence ? " *" : ""). \(reference.explanation)\n\n"
      text += "Fix: \(reference.fix)\n\n"
    }
    text.removeLast()
    return text
  }
}
