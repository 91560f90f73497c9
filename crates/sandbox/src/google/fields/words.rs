//! The constants of fields that have one of a few words.

pub(super) const STATUS: &[&str] = &["ENABLED", "PAUSED", "REMOVED", "UNKNOWN", "UNSPECIFIED"];
pub(super) const CUSTOMER_STATUS: &[&str] = &[
    "ENABLED",
    "CANCELED",
    "SUSPENDED",
    "CLOSED",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const SERVING_STATUS: &[&str] = &[
    "SERVING",
    "NONE",
    "ENDED",
    "PENDING",
    "SUSPENDED",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const PRIMARY_STATUS: &[&str] = &[
    "ELIGIBLE",
    "PAUSED",
    "REMOVED",
    "ENDED",
    "PENDING",
    "MISCONFIGURED",
    "LIMITED",
    "LEARNING",
    "NOT_ELIGIBLE",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const CHANNEL: &[&str] = &[
    "SEARCH",
    "DISPLAY",
    "SHOPPING",
    "HOTEL",
    "VIDEO",
    "MULTI_CHANNEL",
    "LOCAL",
    "SMART",
    "PERFORMANCE_MAX",
    "LOCAL_SERVICES",
    "TRAVEL",
    "DEMAND_GEN",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const BIDDING: &[&str] = &[
    "COMMISSION",
    "ENHANCED_CPC",
    "FIXED_CPM",
    "MANUAL_CPA",
    "MANUAL_CPC",
    "MANUAL_CPM",
    "MANUAL_CPV",
    "MAXIMIZE_CONVERSIONS",
    "MAXIMIZE_CONVERSION_VALUE",
    "PERCENT_CPC",
    "TARGET_CPA",
    "TARGET_CPC",
    "TARGET_CPM",
    "TARGET_CPV",
    "TARGET_IMPRESSION_SHARE",
    "TARGET_ROAS",
    "TARGET_SPEND",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const BUDGET_STATUS: &[&str] = &["ENABLED", "REMOVED", "UNKNOWN", "UNSPECIFIED"];
pub(super) const BUDGET_PERIOD: &[&str] = &["DAILY", "CUSTOM_PERIOD", "UNKNOWN", "UNSPECIFIED"];
pub(super) const AD_GROUP_TYPE: &[&str] = &[
    "SEARCH_STANDARD",
    "SEARCH_DYNAMIC_ADS",
    "DISPLAY_STANDARD",
    "SHOPPING_PRODUCT_ADS",
    "VIDEO_BUMPER",
    "VIDEO_RESPONSIVE",
    "VIDEO_TRUE_VIEW_IN_STREAM",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const AD_TYPE: &[&str] = &[
    "RESPONSIVE_SEARCH_AD",
    "RESPONSIVE_DISPLAY_AD",
    "EXPANDED_TEXT_AD",
    "IMAGE_AD",
    "VIDEO_AD",
    "VIDEO_RESPONSIVE_AD",
    "DEMAND_GEN_MULTI_ASSET_AD",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const APPROVAL: &[&str] = &[
    "APPROVED",
    "APPROVED_LIMITED",
    "AREA_OF_INTEREST_ONLY",
    "DISAPPROVED",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const REVIEW: &[&str] = &[
    "REVIEWED",
    "REVIEW_IN_PROGRESS",
    "UNDER_APPEAL",
    "ELIGIBLE_MAY_SERVE",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const MEMBERSHIP: &[&str] = &["OPEN", "CLOSED", "UNKNOWN", "UNSPECIFIED"];
pub(super) const USER_LIST_TYPE: &[&str] = &[
    "CRM_BASED",
    "EXTERNAL_REMARKETING",
    "LOGICAL",
    "LOOKALIKE",
    "REMARKETING",
    "RULE_BASED",
    "SIMILAR",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const ACTION_STATUS: &[&str] =
    &["ENABLED", "HIDDEN", "REMOVED", "UNKNOWN", "UNSPECIFIED"];
pub(super) const ACTION_TYPE: &[&str] = &[
    "AD_CALL",
    "CLICK_TO_CALL",
    "UPLOAD_CALLS",
    "UPLOAD_CLICKS",
    "WEBPAGE",
    "WEBSITE_CALL",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const ACTION_CATEGORY: &[&str] = &[
    "DEFAULT",
    "PAGE_VIEW",
    "PURCHASE",
    "SIGNUP",
    "SUBMIT_LEAD_FORM",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const CHANGED_TYPE: &[&str] = &[
    "AD_GROUP",
    "AD_GROUP_AD",
    "AD_GROUP_CRITERION",
    "CAMPAIGN",
    "CAMPAIGN_CRITERION",
    "CAMPAIGN_BUDGET",
    "UNKNOWN",
    "UNSPECIFIED",
];
pub(super) const CHANGED_STATUS: &[&str] =
    &["ADDED", "CHANGED", "REMOVED", "UNKNOWN", "UNSPECIFIED"];
