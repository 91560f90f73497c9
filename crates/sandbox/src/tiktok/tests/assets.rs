//! Audiences, pages that collect leads, and pixels.

use super::*;

/// Each sort: its path, where its list stands, its id and its name to the control.
const SORTS: [(&str, &str, &str, &str); 3] = [
    (
        "dmp/custom_audience/list/",
        "list",
        "audience_id",
        "audience",
    ),
    ("page/get/", "list", "page_id", "lead_form"),
    ("pixel/list/", "pixels", "pixel_id", "pixel"),
];

async fn listed(ads: &Ads, (path, list, id): (&str, &str, &str)) -> Vec<String> {
    let mut ids = Vec::new();
    for page in 1.. {
        let page = page.to_string();
        let params = [
            ("advertiser_id", FIRST),
            ("page_size", "3"),
            ("page", page.as_str()),
        ];
        let data = data(&ads.get(path, &params).await);
        let items = data[list].as_array().expect("a list");
        ids.extend(items.iter().map(|it| text(it, id).to_owned()));
        if data["page_info"]["page"].as_u64() >= data["page_info"]["total_page"].as_u64() {
            break;
        }
    }
    ids
}

async fn known(ads: &Ads, kind: &str) -> Vec<String> {
    let path = format!("entities?platform=tiktok&account={FIRST}&kind={kind}");
    let known = ads.world(&path).await;
    let known = known["entities"].as_array().expect("a list");
    known.iter().map(|it| text(it, "id").to_owned()).collect()
}

#[tokio::test]
async fn pages_to_the_end_are_everything_that_was_not_deleted() {
    let ads = Ads::start().await;
    for (path, list, id, kind) in SORTS {
        let all = listed(&ads, (path, list, id)).await;
        let delete = json!({ "platform": "tiktok", "id": all[0], "status": "deleted" });
        ads.site.control("POST", "/world", &delete).await;
        let left = listed(&ads, (path, list, id)).await;

        assert_eq!(all, known(&ads, kind).await, "{path}");
        assert_eq!(left, all[1..], "{path}");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn pages_have_bounds_and_each_list_a_permission() {
    let ads = Ads::start().await;
    let poor = json!({ "platform": "tiktok", "tokens": [{ "token": "fake-poor", "scopes": ["1", "2", "4"] }] });
    ads.site.control("POST", "/tokens", &poor).await;
    for (path, ..) in SORTS {
        let too_long = [("advertiser_id", FIRST), ("page_size", "101")];

        let refused = ads.get(path, &too_long).await;
        let forbidden = ads.get_as("fake-poor", path, &too_long[..1]).await;

        assert_code(&refused, 40_002);
        assert_code(&forbidden, 40_001);
    }
    ads.site.stop().await;
}
