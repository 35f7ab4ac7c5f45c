//! The codes of problems: stable, one meaning each, explained by `netyard explain CODE`.

use super::Severity;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($severity:ident $name:ident = $text:literal, $title:literal;)*) => {
        /// The kind of a problem. Letters: Y text and keys, N names, A addresses, L links and networks, R routes,
        /// F translation and filter, E expectations, I labs of other programs, K refusals of the kernel, U use of the program. A code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as users see it, for example `N014`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What is wrong, in few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// How grave it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    Error YamlSyntax = "Y001", "the text is not YAML";
    Error FileTooLarge = "Y002", "the file is too large";
    Error NestedTooDeeply = "Y003", "values are nested too deeply";
    Error AliasesExpandTooFar = "Y004", "aliases expand to too many values";
    Error DuplicateKey = "Y005", "a key is given twice";
    Error TabIndentation = "Y006", "a tab is used for indentation";
    Error UnknownKey = "Y007", "unknown key";
    Error WrongType = "Y008", "a value of another type is needed";
    Error MissingKey = "Y009", "a key is missing";
    Error TagNotSupported = "Y010", "tags are not used in lab files";
    Error KeyNotText = "Y011", "a key is not a word";
    Error SeveralDocuments = "Y012", "the file holds several documents";
    Error EmptyFile = "Y013", "the file is empty";
    Error BadMergeKey = "Y014", "`<<` needs a map";
    Error UnknownWord = "Y015", "unknown word";
    Error BadNumber = "Y016", "not a number in range";
    Error BadQuantity = "Y017", "not a quantity with its unit";
    Error KeysExclude = "Y018", "keys exclude each other";

    Error BadLabName = "N001", "not a lab name";
    Error BadNodeName = "N002", "not a node name";
    Error BadNetworkName = "N003", "not a network name";
    Error BadGroupName = "N004", "not a group name";
    Error NodeTwice = "N005", "a node is defined twice";
    Error NetworkTwice = "N006", "a network is defined twice";
    Error BadRange = "N007", "not a range";
    Error TooManyNodes = "N008", "too many nodes";
    Error CyclicGroups = "N009", "groups contain each other";
    Error UnknownMember = "N010", "no node or group has this name";
    Error GroupNameTaken = "N011", "a group has the name of a node";
    Error BadInterfaceName = "N012", "not an interface name";
    Error InterfaceNameTwice = "N013", "two interfaces of a node have one name";
    Error InterfaceNameTooLong = "N014", "interface name is too long";
    Error PortNameTwice = "N015", "two ports of the fabric have one name";
    Error BadHostname = "N016", "not a host name";
    Error ProgramTwice = "N017", "two programs of a node have one name";
    Error BadEnvironmentName = "N018", "not the name of an environment variable";
    Error GroupsTooLarge = "N019", "groups have too many members";
    Error NodesTooLarge = "N020", "the nodes together hold too much";
    Error BadProgramName = "N021", "not the name of a program";
    Error NotAFullNode = "N022", "only full nodes have files of their own";
    Error BadNodePath = "N023", "not a path in a node";
    Error OutsideFolder = "N024", "a path leaves the lab file's folder";
    Error BadFileAttribute = "N025", "not the mode or owner of a file";
    Error BadLayerName = "N026", "not the name of a package layer";
    Error UnknownProgram = "N027", "no program of the node has this name";
    Error CyclicPrograms = "N028", "programs wait for each other";
    Error FileTwice = "N029", "two things have one place in a node";

    Error BadAddress = "A001", "not an address";
    Error BadPrefix = "A002", "not a prefix";
    Error AddressOutsidePrefix = "A003", "an address is outside its network's prefix";
    Error AddressWithoutLength = "A004", "an address has no prefix length";
    Error DuplicateAddress = "A005", "two interfaces have one address";
    Error NetworkAddress = "A006", "the address stands for the whole network";
    Error UnusableAddress = "A007", "no interface can have this address";
    Error HostBits = "A008", "a prefix has bits behind its length";
    Error TwoPrefixes = "A009", "a network has two prefixes of one family";
    Error PrefixExhausted = "A010", "a prefix has no free address left";
    Error BadMac = "A011", "not an Ethernet address of an interface";
    Error DuplicateMac = "A012", "two interfaces have one Ethernet address";
    Error AddressForMany = "A013", "one address for many nodes";
    Warning AddressElsewhere = "A014", "an address with a length of its own is outside its network's prefix";
    Error UnusablePrefix = "A015", "no network can have this prefix";

    Error UnknownNetwork = "L001", "unknown network";
    Error NodeTwiceOnNetwork = "L002", "a node is twice on one network";
    Error CableEnds = "L003", "a cable has two ends";
    Error SamePrefixOnNode = "L004", "two networks of one node have the same prefix";
    Error MtuTooSmall = "L005", "the mtu is too small for IPv6";
    Warning MtuAboveNetwork = "L006", "an interface takes larger packets than its network";
    Error UnknownInterface = "L008", "the node has no such interface";
    Error PortOfTwoBridges = "L009", "an interface is a port of two bridges";
    Error CableShapedTwice = "L010", "both ends of a cable shape the same direction";
    Warning PortHasAddress = "L011", "a bridge port has an address";
    Warning UnusedNetwork = "L012", "no node is on this network";
    Error NoNodes = "L013", "the lab has no nodes";
    Error BadStpTimers = "L014", "spanning tree timers contradict each other";
    Error ShapingIncomplete = "L015", "the shaping contradicts itself";
    Error NotForThisKind = "L016", "the network's kind has no such setting";
    Error TooManyInterfaces = "L018", "too many interfaces";
    Warning BridgeLoop = "L019", "bridges without spanning tree form a loop";
    Warning OverlappingPrefixes = "L017", "two networks of one node have overlapping prefixes";

    Error GatewayUnreachable = "R001", "the gateway is on none of the node's networks";
    Error GatewayIsSelf = "R002", "a node is its own gateway";
    Error NoCommonNetwork = "R003", "two nodes share no network";
    Error FamiliesMixed = "R004", "IPv4 and IPv6 are mixed";
    Error BadDestination = "R005", "not the destination of a route";
    Error DuplicateRoute = "R006", "two routes of a node are the same";
    Error SourceNotOwn = "R007", "the source is not an address of the node";
    Error RouteWithoutNextHop = "R008", "a route leads nowhere";
    Warning NobodyHasGateway = "R009", "nobody has the gateway's address";
    Error SysctlOutsideNet = "R010", "not a sysctl of a network namespace";
    Error NeighbourUnreachable = "R011", "a neighbour is on none of the node's networks";
    Error RulesOfMachine = "R012", "routing rules of the machine itself are not a lab's";

    Error MasqueradeWithoutOut = "F001", "the outgoing interface of a translation is not clear";
    Error BadSource = "F002", "neither a network nor a node nor a prefix";
    Error BadForwardTarget = "F003", "not the target of a forwarded port";
    Error PortForwardedTwice = "F004", "a port is forwarded twice";
    Error BadPort = "F005", "not a port";
    Error UnknownAllow = "F006", "not an entry of `allow`";
    Error AllowMixesFamilies = "F007", "an entry of `allow` can match nothing";
    Error NoPublicAddress = "F008", "the incoming interface has no address of this family";
    Warning TranslationWithoutForwarding = "F009", "a node translates but does not forward";
    Warning AllowHasNoEffect = "F010", "`allow` has no effect with policy accept";
    Error TooManyRules = "F011", "too many rules";
    Error BadRule = "F012", "not a table, chain or rule of nft";
    Warning Ipv6NotForwarded = "F013", "translation makes a node forward IPv4 only";

    Error NotOneProbe = "E001", "an expectation does one thing";
    Error KeyNotForProbe = "E003", "the probe has no such key";
    Error BadUrl = "E004", "not an http URL";
    Error TargetWithoutPort = "E005", "the target has no port";
    Error NoAddressToUse = "E006", "a probe has no address to use";
    Error PathEndsElsewhere = "E007", "a path ends at another node";
    Error EmptyGroup = "E008", "nobody is in this group";
    Error TooManyExpectations = "E009", "too many expectations";
    Error ContradictoryExpectation = "E010", "an expectation contradicts itself";
    Warning NobodyAnswersDns = "E011", "nobody answers a DNS query";

    Error LabConfSyntax = "I001", "the line is not understood";
    Error BadDeviceName = "I002", "not a device name of Kathara";
    Error BadCollisionDomain = "I003", "not a collision domain";
    Error BadDeviceInterfaces = "I004", "the interfaces of a device contradict each other";
    Error BadDeviceOption = "I005", "not a value of this option";
    Error DevicesWaitForEachOther = "I006", "devices wait for each other";
    Error ExternalDomain = "I007", "a collision domain is to reach the machine's network";
    Error ImageNotHere = "I008", "an image holds programs that are not here";
    Warning OptionTwice = "I009", "an option is given twice";
    Warning UnknownDeviceOption = "I010", "Kathara has no such option";
    Warning ImageReplaced = "I011", "an image is replaced by the machine's own programs";
    Warning NeededByScript = "I012", "a startup script needs what may not be here";
    Error BadCheck = "I013", "not a check of kathara-lab-checker";

    Error KernelRefused = "K001", "the kernel refused";
    Error KernelLacksFeature = "K002", "the kernel lacks a feature";
    Error NoUserNamespaces = "K003", "user namespaces cannot be made here";
    Error ProcMasked = "K004", "a fresh /proc cannot be mounted here";
    Error ResourceExhausted = "K005", "a limit of the kernel is reached";
    Error NeedsRoot = "K006", "this needs root";
    Error NotReadyInTime = "K007", "the lab was not ready in time";
    Error ProgramNotFound = "K008", "a program is not installed";
    Error HolderDied = "K009", "the lab's holder ended";
    Error HolderAnsweredOddly = "K010", "the lab's holder answered something else than was asked";
    Error HolderDoesNotEnd = "K011", "the lab's holder does not end";
    Error ProbeImpossible = "K012", "a probe cannot be made";
    Error CannotEnterNode = "K013", "this process may not enter a node";
    Error UplinkDown = "K014", "an uplink does not come up";
    Error HolderSilent = "K015", "the lab's holder does not answer";
    Error ProgramNotReady = "K020", "a program was not ready in time";

    Error LabBusy = "U001", "another command works on the lab";
    Error OtherLab = "U002", "another lab of this name is up";
    Error NoSuchLab = "U003", "no such lab runs";
    Error NoSuchNode = "U004", "the lab has no such node";
    Error NoSuchInterface = "U005", "the node has no such interface";
    Error CannotExecute = "U006", "a program cannot be executed";
    Error FileUnreadable = "U007", "a file cannot be read";
    Error ZeroByte = "U008", "a word holds a zero byte";
    Error UnknownTarget = "U009", "a name is not known";
    Error EmptyLab = "U010", "the lab has no node";
    Error Usage = "U011", "the words do not make a command";
    Error NoStateFolder = "U012", "there is no folder for running labs";
    Error HostNotAllowed = "U013", "a node is this machine itself";
    Error HostInTheWay = "U014", "the machine has something that the lab wants to make";
    Error UplinkRefused = "U015", "an uplink is not possible here";
    Error InsideOfLab = "U016", "this cannot be done from inside of the lab";
    Error NoSuchNamespace = "U018", "there is no such network namespace";
    Error FileNotWritten = "U060", "a file of a node cannot be written";
    Error NoSuchLesson = "U021", "there is no such lesson";
    Error ExamUnreadable = "U022", "the result of an exam cannot be read";
    Error OutputNotWritten = "U023", "the result cannot be written";
    Error CaptureNotWritten = "U030", "a capture file cannot be made";
    Error CaptureNotUnderstood = "U031", "what is to be captured is not understood";
    Error NoWireshark = "U032", "Wireshark is not installed";
    Error PluginNotInstalled = "U033", "the plugin of Wireshark cannot be installed";
    Error NoSuchLayer = "U040", "there is no such package layer";
    Error LayerNotBuilt = "U041", "a package layer cannot be built or removed";
    Error BadLayerWord = "U042", "not the name of a layer or package";
    Error NodeWithoutFiles = "U046", "a node has no files of its own";
    Error FilesNotTaken = "U043", "the files of a node cannot be taken";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a code such as N014")
    }
}

impl std::error::Error for UnknownCode {}

impl FromStr for Code {
    type Err = UnknownCode;
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_reads_as_it_prints() {
        let all: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(all.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.to_string().to_lowercase().parse() == Ok(*code)));
        assert_eq!("N99".parse::<Code>(), Err(UnknownCode));
    }
}
